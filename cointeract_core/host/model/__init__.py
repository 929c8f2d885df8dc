"""Our transformer as a model of ComfyUI: its class, registration, extra layers, parking and what a clip keeps.

Imported by every other room of the host layer; it imports `model` and `checkpoint` only.
"""
