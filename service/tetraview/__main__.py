"""``python -m tetraview`` is ``tetraview``."""

import gc
import sys

#: New objects until Python looks for cycles among them. Objects that imports make stay for good, and a search after
#: every 700 new ones, Python's default, takes a sixth of the service's start time.
_OBJECTS = 50_000


def run() -> None:
    """Run the command line; Ctrl-C before it has taken charge ends without a traceback."""
    gc.set_threshold(_OBJECTS)
    try:
        from tetraview.cli.main import main  # noqa: PLC0415 - the imports take a second in which a person may stop us

        main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    run()
