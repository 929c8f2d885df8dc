"""Everything that touches ComfyUI; no other package of the core imports it."""
