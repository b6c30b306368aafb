"""``python -m tetraview`` is ``tetraview``."""

from tetraview.cli import main

main()
