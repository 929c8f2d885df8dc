"""A training run inside ComfyUI: rows encoded, the model in training, samples, progress, the command.

`session` is its door for a run, `tables` for its rows; nothing imports it but nodes and commands.
"""
