"""The CoInteract transformer: pure torch over the sub-modules of ComfyUI's Wan2.2-S2V class.

Imports constants and errors only; what it needs of ComfyUI's modules is written in `parts`.
"""
