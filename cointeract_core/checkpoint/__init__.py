"""Names, recognition, merging and saving of model files; nothing here needs ComfyUI.

Imports core files only; the host layer and training import it.
"""
