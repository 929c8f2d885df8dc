"""Measurements of the transformer that need no GPU."""
