"""``python -m onetake``."""

from onetake.cli import main

if __name__ == "__main__":
    main()
