"""What a trained cell is asked: clips of held-out scenes, held-out rows, what the HOI stream costs.

Imports the pack and ComfyUI inside functions, after they were opened.
"""
