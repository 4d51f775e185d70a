"""`python -m miauflixd`."""

import sys

from miauflixd.cli import main

if __name__ == "__main__":
    sys.exit(main())
