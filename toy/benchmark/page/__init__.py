"""From the numbers of the cells to the page: means, intervals, differences, tables and plots.

Imports the pack's drawing; ComfyUI is not needed.
"""
