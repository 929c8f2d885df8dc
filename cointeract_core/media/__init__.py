"""Video, sound and picture files, read as a player would show them; one reader for generating and training.

Imports conditioning for how pictures fit and times are met; whoever reads a file imports it.
"""
