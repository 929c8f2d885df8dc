"""CoInteract Sampler, Clip Conditioning and the two decoders."""

from __future__ import annotations

from comfy_api.latest import InputImpl, io, ui
from torch import Tensor

from ..cointeract_core.clips.parts import FinishedVideo, PersonReference, Pose, ProductReference, Prompts, Speech
from ..cointeract_core.clips.scene import build_scene
from ..cointeract_core.constants import DEFAULT_CFG, DEFAULT_SHIFT, DEFAULT_STEPS
from ..cointeract_core.host.files.check_wired import check_model, check_vae
from ..cointeract_core.host.files.workflow import model_files, widget_values
from ..cointeract_core.host.objects import Patcher, Vae
from ..cointeract_core.host.page.progress import show_text
from ..cointeract_core.host.video import single_clip
from ..cointeract_core.host.video.finish import finished_audio, finished_images
from ..cointeract_core.host.video.generate import generate_video
from ..cointeract_core.host.video.made import remember, times_lost
from ..cointeract_core.host.video.output import output_location, prefix_problem
from ..cointeract_core.host.video.sampling import PUBLISHED_SCHEDULE, SampleSettings, sampler_names, scheduler_names
from .inputs import scene_inputs, speech_to_face_input
from .types import CATEGORY, ClipContext, VideoClips, advanced, node_schema


class Sampler(io.ComfyNode):
    """The whole video, clip by clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            node_id="CoInteractSampler",
            display_name="CoInteract Sampler",
            category=CATEGORY,
            description="Makes all clips of the video and writes them to the output folder as they finish.",
            search_aliases=["cointeract", "talking video", "product ad", "human object interaction"],
            essentials_category="Video Generation",
            inputs=[
                io.Model.Input("model", tooltip="From Load CoInteract Model."),
                io.Vae.Input("vae", tooltip="The Wan 2.1 VAE."),
                *scene_inputs(),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**63 - 1,
                    control_after_generate=True,
                    tooltip="The first clip uses this seed, each following clip the next one.",
                ),
                io.Int.Input("steps", default=DEFAULT_STEPS, min=1, max=1000, tooltip="Steps per clip."),
                io.Float.Input(
                    "cfg",
                    default=DEFAULT_CFG,
                    min=1.0,
                    max=30.0,
                    step=0.1,
                    tooltip="Guidance by prompt and speech; 1 takes half the time and ignores the negative prompt.",
                ),
                io.Float.Input(
                    "shift", default=DEFAULT_SHIFT, min=0.1, max=100.0, step=0.1, tooltip="Shift of the schedule."
                ),
                io.Combo.Input(
                    "sampler_name", options=sampler_names(), default="euler", tooltip="Any sampler of ComfyUI."
                ),
                io.Combo.Input(
                    "scheduler",
                    options=scheduler_names(),
                    default=PUBLISHED_SCHEDULE,
                    tooltip="published is the schedule of the authors' program; the others are ComfyUI's own.",
                ),
                speech_to_face_input(),
                io.String.Input(
                    "filename_prefix",
                    default="CoInteract/ad",
                    tooltip="Name of the mp4 below the output folder; %date:yyyy-MM-dd%, %width% and %Node.widget% are "
                    "replaced.",
                ),
                advanced(
                    io.Float.Input(
                        "negative_until",
                        default=1.0,
                        min=0.0,
                        max=1.0,
                        step=0.05,
                        tooltip="Part of the steps that also run the negative pass. 1: all, as published. 0.5 saves a "
                        "quarter of the time: the later half follows the prompt without guidance.",
                    )
                ),
            ],
            outputs=[VideoClips.Output(display_name="clips")],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: object = None) -> bool | str:
        """Refuse a file name that cannot be used before anything in the workflow runs."""
        return prefix_problem(filename_prefix) or True

    @classmethod
    def fingerprint_inputs(cls, **typed: object) -> int:
        """Make the video again where its file was moved or deleted since."""
        return times_lost(typed)

    @classmethod
    def execute(
        cls,
        model: Patcher,
        vae: Vae,
        person: PersonReference,
        speech: Speech,
        prompts: Prompts,
        seed: int,
        steps: int,
        cfg: float,
        shift: float,
        sampler_name: str,
        scheduler: str,
        speech_to_face: bool,
        filename_prefix: str,
        negative_until: float = 1.0,
        product: ProductReference | None = None,
        pose: Pose | None = None,
    ) -> io.NodeOutput:
        """Make the video."""
        check_model(model)
        check_vae(vae)
        scene, notes = build_scene(person, speech, prompts, product, pose)
        for note in notes:
            show_text(cls.hidden.unique_id, note)
        video = generate_video(
            model,
            vae,
            scene,
            SampleSettings(seed, steps, cfg, shift, sampler_name, scheduler, negative_until),
            filename_prefix=filename_prefix,
            node_id=cls.hidden.unique_id,
            speech_to_face=speech_to_face,
            value_of=widget_values(cls.hidden.prompt, cls.hidden.extra_pnginfo),
            files=model_files(cls.hidden.prompt, cls.hidden.unique_id, "model"),
        )
        remember(cls.hidden.prompt, cls.hidden.unique_id, video.path)
        return io.NodeOutput(video)


class Decode(io.ComfyNode):
    """The finished video in the host's own types."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            node_id="CoInteractDecode",
            display_name="CoInteract Decode",
            category=CATEGORY,
            description="Shows the finished video and gives it out as frames, sound and VIDEO at 25 fps.",
            search_aliases=["cointeract video"],
            inputs=[
                VideoClips.Input("clips", tooltip="From CoInteract Sampler."),
                io.Boolean.Input(
                    "all_frames",
                    default=True,
                    tooltip="Load every frame into IMAGE (11 MB a frame at 720x1280). Off: the last frame only; VIDEO "
                    "is not affected.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="images"),
                io.Audio.Output(display_name="audio", tooltip="The original sound, cut to the video."),
                io.Video.Output(display_name="video", tooltip="The mp4 on disk, 25 fps with sound."),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, clips: FinishedVideo, all_frames: bool) -> io.NodeOutput:
        """Give the video out."""
        images = finished_images(clips, all_frames)
        filename, subfolder = output_location(clips.path)
        preview = ui.PreviewVideo([ui.SavedResult(filename, subfolder, io.FolderType.output)])
        return io.NodeOutput(images, finished_audio(clips), InputImpl.VideoFromFile(str(clips.path)), ui=preview)


class ClipConditioning(io.ComfyNode):
    """One clip for the host's own samplers."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            node_id="CoInteractClipConditioning",
            display_name="Clip Conditioning",
            category=CATEGORY,
            description="One clip as positive, negative and latent for KSampler or SamplerCustomAdvanced.",
            search_aliases=["cointeract ksampler"],
            inputs=[
                *scene_inputs(),
                io.Int.Input("clip", default=0, min=0, max=999, tooltip="Which clip, counted from 0."),
                io.Vae.Input("vae", optional=True, tooltip="Needed with previous_frames."),
                io.Image.Input(
                    "previous_frames",
                    optional=True,
                    tooltip="The video so far; its last 73 frames lead into this clip.",
                ),
                speech_to_face_input(),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive"),
                io.Conditioning.Output(display_name="negative"),
                io.Latent.Output(display_name="latent"),
                ClipContext.Output(display_name="clip", tooltip="For Decode Clip."),
            ],
        )

    @classmethod
    def execute(
        cls,
        person: PersonReference,
        speech: Speech,
        prompts: Prompts,
        clip: int,
        speech_to_face: bool,
        product: ProductReference | None = None,
        pose: Pose | None = None,
        vae: Vae | None = None,
        previous_frames: Tensor | None = None,
    ) -> io.NodeOutput:
        """Make the conditions of one clip."""
        scene, _ = build_scene(person, speech, prompts, product, pose)
        conditions, context = single_clip.prepare_clip_context(
            scene, clip, vae, previous_frames, speech_to_face=speech_to_face
        )
        return io.NodeOutput(conditions.positive, conditions.negative, {"samples": conditions.latent}, context)


class DecodeClip(io.ComfyNode):
    """Frames of one clip sampled by the host."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            node_id="CoInteractDecodeClip",
            display_name="Decode Clip",
            category=CATEGORY,
            description="Decodes one clip behind what came before it, so that clips join without a seam.",
            search_aliases=["cointeract vae decode"],
            inputs=[
                io.Latent.Input("latent", tooltip="What the sampler made of Clip Conditioning's latent."),
                ClipContext.Input("clip", tooltip="From Clip Conditioning."),
                io.Vae.Input("vae", tooltip="The Wan 2.1 VAE."),
            ],
            outputs=[io.Image.Output(display_name="images", tooltip="The frames this clip adds to the video.")],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
        )

    @classmethod
    def execute(cls, latent: dict[str, Tensor], clip: single_clip.ClipContext, vae: Vae) -> io.NodeOutput:
        """Decode the clip."""
        check_vae(vae)
        files = model_files(cls.hidden.prompt, cls.hidden.unique_id, "latent")
        frames, warning = single_clip.decode_clip(vae, latent["samples"], clip, files)
        if warning is not None:
            show_text(cls.hidden.unique_id, warning)
        return io.NodeOutput(frames)
