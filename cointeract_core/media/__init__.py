"""Video, sound and picture files, read as a player would show them; one reader for generating and training.

Imports conditioning for the sizes things are fitted to; whoever reads a file imports it.
"""
