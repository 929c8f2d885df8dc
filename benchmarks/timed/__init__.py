"""Timed in one run, side by side: the authors' program, ours and ComfyUI's own class."""
