"""Whether the pack works on this ComfyUI: the self-check, and recordings of the authors' program.

Stands above the host layer; only commands import it.
"""
