"""``python -m smtp_pair`` is the command ``smtp-pair``."""

import sys

from smtp_pair.cli import main

if __name__ == "__main__":
    sys.exit(main())
