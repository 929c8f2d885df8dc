"""Training without ComfyUI, in four rooms: settings, then the table, then one step, then the run.

Each imports from those before it; the host layer's `train` brings the model and the files.
"""
