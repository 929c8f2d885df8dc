"""What the page is told: progress, messages, and a run's curves while they grow.

Imported by `video` and `train`; it imports no other room of the host layer.
"""
