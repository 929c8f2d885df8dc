"""What a clip of the world shows, measured from its pictures alone, and whether those measures can be trusted.

`clip` measures, `faults` spoils renders on purpose, `python -m toy.metrics` prints the table of both.
"""
