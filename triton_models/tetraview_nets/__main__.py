"""``python -m tetraview_nets``."""

from tetraview_nets.cli.main import main

if __name__ == "__main__":
    main()
