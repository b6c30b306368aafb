"""Named places where a test can kill this process, to show that nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal


def killpoint(name: str) -> None:
    """Die here, as by ``kill -9``, when the environment variable ``TETRAVIEW_KILLPOINT`` holds this name."""
    if os.environ.get("TETRAVIEW_KILLPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
