"""The short name of the verification: ``python -m cointeract_core.verify [DIR]``."""

import sys

from ..commands.verify import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
