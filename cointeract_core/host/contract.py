"""Every symbol of ComfyUI this pack touches, and how its form changed from version to version.

The list is data and imports nothing. A test fails where a file reaches into ComfyUI past it, and where an entry is no
longer touched or no longer there; `docs/comfyui.md` tells the story of those that changed. What differs is dealt with
in `forms.py`, by asking for behaviour, and has a double in `tests/host/stand_ins.py`.

Read were 0.3.75, 0.25.0, 0.28.0, 0.33.0 and, file by file, 0.38.1; “0.25” below means: found so in 0.25.0, not yet in
0.3.75.  Everything was run on 0.3.75 and on 0.33.0.
"""

from __future__ import annotations

SAME = "the same in all that were read"
LATER = "from "  # how a note begins whose symbol older versions do not have: asked for, never assumed

NODES = {
    "comfy_api.latest.ComfyExtension": SAME,
    "comfy_api.latest.InputImpl": "0.25: a video may be given a start and a duration; we give neither",
    "comfy_api.latest.io": "0.25: more fields of Schema; `nodes/types.py` leaves out what is not known",
    "comfy_api.latest.ui": SAME,
}
FILES_AND_PAGE = {
    "comfyui_version.__version__": SAME,
    "folder_paths.folder_names_and_paths": SAME,
    "folder_paths.get_annotated_filepath": SAME,
    "folder_paths.get_filename_list": SAME,
    "folder_paths.get_folder_paths": SAME,
    "folder_paths.get_full_path": SAME,
    "folder_paths.get_input_directory": SAME,
    "folder_paths.get_output_directory": SAME,
    "folder_paths.get_save_image_path": "0.25: takes names with dots",
    "folder_paths.get_temp_directory": SAME,
    "latent_preview.get_previewer": SAME,
    "nodes.NODE_CLASS_MAPPINGS": SAME,
    "server.PromptServer": SAME,
    "utils.extra_config.load_extra_path_config": SAME,
    "comfy.cli_args.args": SAME,
}
LOADING = {
    "comfy.audio_encoders.audio_encoders.load_audio_encoder_from_sd": "0.25: pages its weights; 0.38: no torchaudio",
    "comfy.float.stochastic_rounding": SAME,
    "comfy.lora.load_lora": SAME,
    "comfy.lora.model_lora_keys_unet": SAME,
    "comfy.model_detection.detect_unet_config": SAME,
    "comfy.model_detection.model_config_from_unet_config": "0.28: hands a prefix on to `matches`",
    "comfy.sd.CLIPType": SAME,
    "comfy.sd.VAE": "0.25: `process_output` writes in place; we give it a tensor of its own",
    "comfy.sd.load_clip": SAME,
    "comfy.sd.load_diffusion_model_state_dict": "0.25: takes `disable_dynamic`, given where its signature "
    "has it; renames the scales of scaled-fp8 files, so ours have a name of their own",
    "comfy.supported_models.WAN22_S2V": SAME,
    "comfy.supported_models.WAN22_S2V.matches": "0.28: asked with `unet_key_prefix`; ours takes all, never raises",
    "comfy.supported_models.models": SAME,
    "comfy.utils.ProgressBar": "0.25: sends less often",
    "comfy.utils.load_torch_file": "0.25: gives mapped tensors where weights are paged",
    "comfy.utils.tiled_scale_multidim": SAME,
}
MODEL = {
    "comfy.conds.CONDConstant": SAME,
    "comfy.conds.CONDRegular": SAME,
    "comfy.ldm.common_dit.pad_to_patch_size": SAME,
    "comfy.ldm.modules.attention.attention_pytorch": SAME,
    "comfy.ldm.modules.attention.optimized_attention": "0.38: takes `preferred_attention`, given where a layer has it",
    "comfy.ldm.wan.model.WanAttentionBlock": "0.25, 0.33: calls patches of other packs, as ours does; 0.33: its "
    "feed-forward is one module, whose parts we call; 0.38: its attentions may hold a file's wish",
    "comfy.ldm.wan.model.WanModel_S2V": SAME,
    "comfy.ldm.wan.vae.WanVAE": "0.25: decodes two latents a step and keeps less; `clips/decoder.py` follows its pace "
    "with a memory of its own, and `decode.py` tries the outcome first",
    "comfy.model_base.ModelType": SAME,
    "comfy.model_base.WAN21": SAME,
    "comfy.model_base.WAN22_S2V": SAME,
    "comfy.model_base.WAN22_S2V.__init__": "0.33: no weight has a gradient; training sets it after",
    "comfy.model_base.WAN22_S2V.extra_conds": SAME,
    "comfy.model_base.WAN22_S2V.extra_conds_shapes": SAME,
    "comfy.model_base.WAN22_S2V.load_model_weights": "0.25: takes `assign`; handed on",
    "comfy.model_base.WAN22_S2V.memory_required": SAME,
    "comfy.model_base.WAN22_S2V.resize_cond_for_context_window": "from 0.25 asked which conditions a context window "
    "cuts; `context_windows.py` cuts speech and pose itself, for every version",
    "comfy.ops.QuantizedTensor": "from 0.25 handed over as it is; dequantised where numbers are needed",
    "comfy.ops.cast_bias_weight": "0.25: what it lends stays in video memory until `LayerWeights` hands it back",
    "comfy.ops.disable_weight_init": SAME,
    "comfy.ops.manual_cast": "0.25: its Linear may have no tensors yet; `fp8_experts.py` makes ours by their size",
    "comfy.ops.uncast_bias_weight": "0.25: takes what `cast_bias_weight` gave third, unopened",
}
MEMORY = {
    "comfy.model_management.InterruptProcessingException": "0.25: no Exception any more; every handler names it",
    "comfy.model_management.NUM_STREAMS": SAME,
    "comfy.model_management.OOM_EXCEPTION": "0.25: not the only one; asked where `is_oom` is not there",
    "comfy.model_management.cuda_device_context": "from 0.25 a VAE may be on another card",
    "comfy.model_management.dtype_size": SAME,
    "comfy.model_management.extra_reserved_memory": SAME,
    "comfy.model_management.get_free_memory": SAME,
    "comfy.model_management.get_torch_device": SAME,
    "comfy.model_management.get_total_memory": SAME,
    "comfy.model_management.in_training": "from 0.25 leaves out kernels without a gradient; set in training",
    "comfy.model_management.interrupt_current_processing": SAME,
    "comfy.model_management.is_device_cpu": SAME,
    "comfy.model_management.is_oom": "from 0.25 knows every word for memory that ran out",
    "comfy.model_management.load_models_gpu": SAME,
    "comfy.model_management.module_size": "0.25: counts packed weights as they are",
    "comfy.model_management.pytorch_attention_flash_attention": SAME,
    "comfy.model_management.should_use_bf16": SAME,
    "comfy.model_management.soft_empty_cache": SAME,
    "comfy.model_management.throw_exception_if_processing_interrupted": SAME,
    "comfy.model_management.unload_all_models": "0.25: of all devices",
    "comfy.model_management.xformers_enabled": SAME,
    "comfy.model_patcher.LowVramPatch": "0.25: no longer asks a layer for its true numbers; `fp8_experts.py` tries "
    "that, and then gives them",
    "comfy.model_patcher.ModelPatcher": "0.25: beside it one that pages weights by itself, told apart by "
    "`is_dynamic`; there, nothing is parked and every request is handed on (`parking.py`)",
    "comfy.model_patcher.ModelPatcher._load_list": "0.25: takes arguments, gives longer tuples; ours finds the layer "
    "wherever it stands in one",
    "comfy.model_patcher.ModelPatcher.clone": "0.25: takes arguments, and may give a patcher of the other kind, "
    "for which the model is loaded again by `cached_patcher_init` (`forms.set_reload`)",
    "comfy.model_patcher.ModelPatcher.detach": SAME,
    "comfy.model_patcher.ModelPatcher.load": "0.25: the paging one takes `dirty` and refuses a full load",
    "comfy.model_patcher.ModelPatcher.model_size": SAME,
    "comfy.model_patcher.ModelPatcher.partially_unload": "0.25: counts the buffers of its streams",
    "comfy.model_patcher.ModelPatcher.unpatch_model": SAME,
    "comfy.model_patcher.wipe_lowvram_weight": SAME,
}
SAMPLING = {
    "comfy.model_sampling.CONST": SAME,
    "comfy.model_sampling.ModelSamplingDiscreteFlow": SAME,
    "comfy.patcher_extension.WrappersMP": SAME,
    "comfy.sampler_helpers.estimate_memory": SAME,
    "comfy.samplers.CFGGuider": "0.25: several GPUs run the passes of a step in threads; `clip_cache.py` keeps "
    "them apart",
    "comfy.samplers.CFGGuider.__init__": SAME,
    "comfy.samplers.CFGGuider.predict_noise": SAME,
    "comfy.samplers.SAMPLER_NAMES": SAME,
    "comfy.samplers.SCHEDULER_NAMES": SAME,
    "comfy.samplers.calculate_sigmas": SAME,
    "comfy.samplers.sampler_object": SAME,
}
TOUCHED = {**NODES, **FILES_AND_PAGE, **LOADING, **MODEL, **MEMORY, **SAMPLING}
