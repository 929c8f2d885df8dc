"""From references, speech and a MODEL to an mp4: encoding, conditions, sampling, decoding, one clip or all.

Nodes enter by `make_parts`, `generate`, `single_clip` and `finish`; `train` samples and decodes with it.
"""
