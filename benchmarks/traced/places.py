"""Which part of the transformer the work of a traced forward belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .tracing import Measures, Tracer

ATTENTION, PROJECTIONS, PROMPT = "self-attention", "its projections", "prompt"
FEED_FORWARD, EXPERTS, SPEECH, REST = "feed-forward", "router and experts", "speech", "rest"
PLACES = (ATTENTION, PROJECTIONS, FEED_FORWARD, PROMPT, SPEECH, EXPERTS, REST)
# what a layer's name holds, the first that fits
NAMES = (
    ("audio_injector.", SPEECH),
    ("experts.", EXPERTS),
    (".self_attn.", PROJECTIONS),
    (".cross_attn.", PROMPT),
    (".ffn.", FEED_FORWARD),
)
ATTENTION_KERNEL = "_scaled_dot_product_flash_attention"


@contextmanager
def telling(dit: Any, tracer: Tracer) -> Iterator[None]:
    """In ``with``, every layer of a model tells the tracer where the run is."""
    hooks = [
        layer.register_forward_pre_hook(lambda *_call, place=place: setattr(tracer, "place", place))
        for layer, place in ((layer, place_of(name)) for name, layer in dit.named_modules())
        if getattr(layer, "weight", None) is not None
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def place_of(name: str) -> str:
    """The place of a layer by its name."""
    return next((place for piece, place in NAMES if piece in name), REST)


def work_by_place(measures: Measures) -> dict[str, int]:
    """FLOPs of every place; attention itself comes behind a projection and counts apart."""
    found = dict.fromkeys(PLACES, 0)
    for (place, kernel), flops in measures.flops_by_place.items():
        attention = kernel == ATTENTION_KERNEL and place == PROJECTIONS
        found[ATTENTION if attention else place or REST] += flops
    return found
