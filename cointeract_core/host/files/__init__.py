"""From a name in ComfyUI's folders, or a wire, to something that is loaded, checked and ours.

Imported by `video` and `train`; of training it knows only how a file is stamped.
"""
