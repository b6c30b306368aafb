"""``python -m tetraview`` is ``tetraview``."""

import sys


def run() -> None:
    """Run the command line; Ctrl-C before it has taken charge ends without a traceback."""
    try:
        from tetraview.cli import main  # noqa: PLC0415 - the imports take a second in which a person may stop us

        main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    run()
