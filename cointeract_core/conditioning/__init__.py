"""Inputs of a clip: pictures, speech, pose, motion frames and prompts, as the model wants them.

Pure functions of tensors; imports core files only.
"""
