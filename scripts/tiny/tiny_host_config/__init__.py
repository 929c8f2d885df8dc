"""For the demo and the tests only: let the host's own Load CLIP read a small umT5.

The host keeps the encoder's sizes in a file of its own. `comfy.sd.load_clip` takes others in its model options, but
the node offers no way to set them, so they are read from a JSON file beside the model file. Files without one are
loaded as ever.

The drawn world's encoder has no layers: a word is its row of a table, and a word without a row is nothing to it. That
is said in the log, where a prompt has such words.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import comfy.sd

from . import lean_vae

NODE_CLASS_MAPPINGS: dict[str, type] = {}
WORD_MARK = "\u2581"  # SentencePiece's, before the first letter of a word
log = logging.getLogger("cointeract")
_load_clip = comfy.sd.load_clip


def unknown_words(text: str, words: Sequence[str]) -> list[str]:
    """Words of a text that are not among `words`, each once."""
    return [word for word in dict.fromkeys(text.split()) if word not in words]


class SayingTokenizer:
    """The host's tokenizer of whole words, which says which words of a text it does not know."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._words = [piece[1:] for piece in tokenizer.get_vocab() if piece.startswith(WORD_MARK)]
        self._said: set[tuple[str, ...]] = set()
        self.get_vocab, self.serialize_model = tokenizer.get_vocab, tokenizer.serialize_model

    def __call__(self, text: str) -> Any:
        unknown = tuple(unknown_words(text, self._words))
        if unknown and unknown not in self._said:
            self._said.add(unknown)  # a training table says the same of every row
            log.warning("the toy knows no word for %s; its words are: %s", ", ".join(unknown), " ".join(self._words))
        return self._tokenizer(text)


@functools.wraps(_load_clip)
def _load_sized_clip(ckpt_paths: list[str], *args: Any, model_options: dict[str, Any] | None = None, **kw: Any) -> Any:
    options = dict(model_options or {})
    sizes = Path(ckpt_paths[0]).with_suffix(".json")
    if not sizes.is_file():
        return _load_clip(ckpt_paths, *args, model_options=options, **kw)
    options["umt5xxl_model_config"] = json.loads(sizes.read_text(encoding="utf-8"))
    clip = _load_clip(ckpt_paths, *args, model_options=options, **kw)
    if not options["umt5xxl_model_config"]["num_layers"]:
        of_words = getattr(clip.tokenizer, clip.tokenizer.clip)
        of_words.tokenizer = SayingTokenizer(of_words.tokenizer)
    return clip


comfy.sd.load_clip = _load_sized_clip
lean_vae.install()
