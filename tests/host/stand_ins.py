"""Doubles with the form of newer hosts, so that each is held to on the oldest one too.

Each does what the newer form does where this pack touches it, written from its behaviour; `docs/comfyui.md` lists which
version has which form.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import comfy.ops
import torch
from comfy.ldm.modules.attention import attention_pytorch
from comfy.ldm.wan.model import WanSelfAttention
from comfy.ldm.wan.vae import CausalConv3d
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

KEPT = 2  # frames a newer decoder keeps of what came in last, however few those are


def paired_block(self: Any, x: Tensor, feat_cache: list | None = None, feat_idx: list[int] | None = None) -> Tensor:
    """A residual block (0.17): of the frames before, it knows those of the last call alone."""
    out = x
    for part in self.residual:
        if feat_cache is not None and isinstance(part, CausalConv3d):
            place = feat_idx[0]
            before, feat_cache[place] = feat_cache[place], out[:, :, -KEPT:]
            out = part(out, before)
            feat_idx[0] += 1
        else:
            out = part(out)
    return out + self.shortcut(x)


def paired_decode(self: Any, z: Tensor) -> Tensor:
    """A whole decode (0.17): one latent, then two at a time, in pieces of two frames once they have doubled."""
    moments, memory, frames = self.conv2(z), {}, []
    for start in (0, *range(1, z.shape[2], KEPT)):
        step = moments[:, :, start : start + (KEPT if start else 1)]
        decoder = self.decoder
        layers = [decoder.conv1, *decoder.middle, *decoder.upsamples, *decoder.head]
        frames += _paired_run(layers, step, memory)
    return torch.cat(frames, dim=2)


def _paired_run(layers: list[Any], x: Tensor, memory: dict[int, Any]) -> list[Tensor]:
    for number, layer in enumerate(layers):
        slots = memory.setdefault(id(layer), [None] * 8)
        if isinstance(layer, CausalConv3d):
            before, slots[0] = slots[0], x[:, :, -KEPT:]
            x = layer(x, before)
        elif hasattr(layer, "residual"):
            x = layer(x, slots, [0])
        elif getattr(layer, "mode", "") == "upsample3d":
            doubled = slots[0] is not None
            if doubled:
                before, slots[0] = (None if isinstance(slots[0], str) else slots[0]), x[:, :, -KEPT:]
                pairs = layer.time_conv(x, before)
                half = pairs.shape[1] // 2
                x = torch.stack([pairs[:, :half], pairs[:, half:]], dim=3).flatten(2, 3)
            else:
                slots[0] = "the first is past"
            x = layer(x)
            if x.shape[2] > KEPT:
                rest = layers[number + 1 :]
                return [done for piece in x.split(KEPT, dim=2) for done in _paired_run(rest, piece, memory)]
        else:
            x = layer(x)
    return [x]


class PagingPatcher(ModelPatcher):
    """The patcher of NVIDIA cards (0.15.1): weights come in page by page as layers ask, each at a place of its own.

    It takes and refuses what that one does; on this CPU a page is the weight itself.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cached_patcher_init: tuple[Any, tuple] | None = None

    def is_dynamic(self) -> bool:
        return True

    def clone(self, disable_dynamic: bool = False, model_override: Any = None, force_deepcopy: bool = False) -> Any:
        if not disable_dynamic:
            copy = super().clone()
            copy.cached_patcher_init = self.cached_patcher_init
            return copy
        if self.cached_patcher_init is None:
            raise RuntimeError("Cannot create non-dynamic delegate: cached_patcher_init is not initialized.")
        load, arguments = self.cached_patcher_init
        other = load(*arguments, disable_dynamic=True)
        return ModelPatcher(other.model, self.load_device, self.offload_device, self.model_size())

    def pin_weight_to_device(self, key: str) -> None:
        raise RuntimeError("pin_weight_to_device is not for paged weights")

    unpin_weight = pin_weight_to_device

    def _load_list(self, for_dynamic: bool = False, default_device: Any = None) -> list[tuple]:
        """Tuples with one more criterion in front than before."""
        return [(False, *entry) for entry in super()._load_list()]

    def load(
        self,
        device_to: Any = None,
        lowvram_model_memory: float = 0,
        force_patch_weights: bool = False,
        full_load: bool = False,
        dirty: bool = False,
    ) -> None:
        assert not force_patch_weights
        assert not full_load
        assert device_to == self.load_device
        for entry in self._load_list(for_dynamic=True, default_device=device_to):
            layer = next(part for part in entry if isinstance(part, nn.Module))
            if hasattr(layer, "comfy_cast_weights"):
                layer.comfy_cast_weights, layer.page = True, True
        self.model.device = device_to
        self.model.current_weight_patches_uuid = self.patches_uuid

    def partially_load(self, device_to: Any, extra_memory: float = 0, force_patch_weights: bool = False) -> None:
        assert not force_patch_weights
        self.unpatch_model(self.offload_device, unpatch_weights=False)
        self.patch_model(load_weights=False)
        self.load(device_to, dirty=False)

    def partially_unload(self, device_to: Any, memory_to_free: float = 0, force_patch_weights: bool = False) -> float:
        assert not force_patch_weights
        return min(memory_to_free, 1000.0)

    def patch_model(self, device_to: Any = None, lowvram_model_memory: float = 0, load_weights: bool = True) -> Any:
        assert not load_weights
        return super().patch_model(load_weights=False)

    def unpatch_model(self, device_to: Any = None, unpatch_weights: bool = True) -> None:
        super().unpatch_model(device_to=None, unpatch_weights=False)


class Pages:
    """The host's casting of weights over pages: what is lent is held in video memory until it is handed back."""

    def __init__(self) -> None:
        self._cast = comfy.ops.cast_bias_weight
        self.held: Counter[int] = Counter()
        self.most = 0

    def cast_bias_weight(self, layer: Any, *args: Any, offloadable: bool = False, **kwargs: Any) -> tuple:
        """Weight, bias and what is needed to hand them back; who does not ask for that cannot."""
        weight, bias = self._cast(layer, *args, **kwargs)
        self.held[id(layer)] += 1
        self.most = max(self.most, self.held.total())
        return (weight, bias, (None, weight.device, None)) if offloadable else (weight, bias)

    def uncast_bias_weight(self, layer: Any, weight: Any, bias: Any, place: Any) -> None:
        """Hand a layer's weights back."""
        if weight is None:  # a layer without any
            return
        assert place is not None
        self.held[id(layer)] -= 1

    def install(self, monkeypatch: Any) -> Pages:
        """Put this in the host's place."""
        monkeypatch.setattr(comfy.ops, "cast_bias_weight", self.cast_bias_weight)
        monkeypatch.setattr(comfy.ops, "uncast_bias_weight", self.uncast_bias_weight)
        return self


class LateLinear(comfy.ops.manual_cast.Linear):
    """A linear layer that has no tensors until they are loaded, and then reads weight and bias alone (0.15.1)."""

    def __init__(self, into: int, out: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = into, out
        self.weight = self.bias = None

    def _load_from_state_dict(
        self, state: dict, prefix: str, local: dict, strict: bool, missing: list, extra: list, errors: list
    ) -> None:
        for name in ("weight", "bias"):
            if prefix + name in state:
                setattr(self, name, nn.Parameter(state[prefix + name].clone(), requires_grad=False))
        extra += [name for name in state if name.startswith(prefix) and name[len(prefix) :] not in ("weight", "bias")]


def renamed_scales(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What becomes of a scaled-fp8 file (0.3.76): every scale gets another name, and each such layer a mark."""
    if "scaled_fp8" not in state:
        return state
    out = {}
    for name, tensor in state.items():
        if name == "scaled_fp8":
            continue
        if name.endswith(".scale_weight"):
            layer = name.removesuffix(".scale_weight")
            out[f"{layer}.weight_scale"] = tensor
            out[f"{layer}.comfy_quant"] = torch.tensor(list(b'{"format": "float8_e4m3fn"}'), dtype=torch.uint8)
        else:
            out[name] = tensor
    return out


class AttentionWish(nn.Module):
    """A child of every attention (0.38): takes the file's wish out of its state dict, and writes it back on saving."""

    def __init__(self) -> None:
        super().__init__()
        self.config: str | None = None

    def _load_from_state_dict(self, state: dict, prefix: str, *_others: Any) -> None:
        mark = state.pop(f"{prefix}config", None)
        self.config = None if mark is None else bytes(mark.tolist()).decode()


class WishfulAttention:
    """Makes attentions with that child (0.38), and an attention function that notes whose wish it was given."""

    def __init__(self, monkeypatch: Any) -> None:
        self.given: list[str | None] = []
        make = WanSelfAttention.__init__

        def made(module: Any, *args: Any, **kwargs: Any) -> None:
            make(module, *args, **kwargs)
            module.comfy_attention = AttentionWish()

        monkeypatch.setattr(WanSelfAttention, "__init__", made)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, preferred_attention: Any = None, **how: Any) -> Tensor:
        self.given.append(None if preferred_attention is None else preferred_attention.config)
        return attention_pytorch(q, k, v, **how)
