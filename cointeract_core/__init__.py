"""Core of the CoInteract node pack: everything that is not a node class."""
