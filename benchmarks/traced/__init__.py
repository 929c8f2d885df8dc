"""Counted on PyTorch's meta device: what a forward, a decode and a training step do and keep at 14B."""
