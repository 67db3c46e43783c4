"""`python -m helpers`: see `helpers.cli.commands`."""

import sys

from helpers.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
