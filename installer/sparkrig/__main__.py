"""``python -m sparkrig``."""

from sparkrig.cli.app import main

if __name__ == "__main__":
    main()
