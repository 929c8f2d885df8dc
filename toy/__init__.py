"""A drawn world small enough to train on with two CPU cores: scenes, a data set writer, metrics, a contact sheet.

Knows nothing of the pack: its files are read by the pack's own reader as those of any user would be.
"""
