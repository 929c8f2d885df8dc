"""What is started from the shell: `python -m cointeract_core.training` and `.verify` lead here.

Stands beside the nodes above everything else; only those two doorways import it.
"""
