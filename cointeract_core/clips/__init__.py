"""Clips of a video: how many, what each is made from, the loop over them and the file they end in."""
