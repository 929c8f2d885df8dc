"""Which layers of the transformer a LoRA can be trained on, by the names users choose them with."""

from __future__ import annotations

import re

# under our names of layers (the authors' choice is all of it: TR, `q,k,v,o,ffn.0,ffn.2`)
TARGETS = {
    "self_attention": re.compile(r"blocks\.\d+\.self_attn\.[qkvo]"),
    "cross_attention": re.compile(r"blocks\.\d+\.cross_attn\.[qkvo]"),
    "ffn": re.compile(r"blocks\.\d+\.ffn\.[02]"),
    "audio": re.compile(r"audio_injector\.injector\.\d+\.[qkvo]"),
}
