"""From references, speech and a MODEL to an mp4: encoding, conditions, sampling, decoding, one clip or all.

`generate` and `single_clip` are its doors for nodes; `train` samples with it.
"""
