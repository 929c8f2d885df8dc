"""Our transformer as a model of ComfyUI: its class, registration, extra layers, parking and what a clip keeps.

Imported by `files`, `video` and `train`; it imports `model` and `checkpoint` only.
"""
