"""Clips of a video: how many, what each is made from, the loop over them and the file they end in.

Takes functions for sampling and decoding, so it knows no model; the host layer's `video` hands them in.
"""
