"""``python -m logitmeter`` is the command ``logitmeter``."""

import sys

from logitmeter.cli import main

if __name__ == "__main__":
    sys.exit(main())
