"""Video, sound and picture files, read as a player would show them; one reader for generating and training."""
