"""From a name in ComfyUI's folders, or a wire, to something that is loaded, checked and ours.

Imported by `video` and `train`; it knows neither clips nor steps, only what a file has to be.
"""
