"""The only importer of ComfyUI: the contract with it, its forms from version to version, a room for each trade.

The rooms above import this one's own files; nothing of clips, training or model does.
"""
