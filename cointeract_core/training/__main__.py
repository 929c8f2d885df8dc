"""The short name of the training command: ``python -m cointeract_core.training config.toml``."""

import sys

from ..commands.train import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
