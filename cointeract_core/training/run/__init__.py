"""The loop: optimiser, average, validation, states, curves, and what a run leaves behind.

`trainer` is its door, for the page `curves`; what it needs of ComfyUI comes as hooks and an engine.
"""
