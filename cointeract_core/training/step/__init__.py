"""From a checked row to a loss: cached sample, noise level, LoRA, both streams, memory modes.

Imports settings and table; knows neither how often it is called nor by how many processes.
"""
