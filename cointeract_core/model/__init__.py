"""The CoInteract transformer: pure torch over the sub-modules of the host's Wan2.2-S2V class."""
