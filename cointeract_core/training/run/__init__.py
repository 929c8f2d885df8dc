"""The loop: optimiser, average, validation, states, curves, and what a run leaves behind.

`trainer` is its door; what it needs of ComfyUI comes to it as hooks and an engine.
"""
