"""Inputs of a clip: pictures, speech, pose, motion frames and prompts."""
