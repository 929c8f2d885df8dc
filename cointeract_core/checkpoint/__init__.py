"""Names, recognition, merging and saving of model files; nothing here needs ComfyUI."""
