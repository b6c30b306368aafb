"""The files of deploy/monitoring, and the real Prometheus and Alertmanager that tests hold them to."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.support.servers import missing
from tests.system.conftest import triton

__all__ = ["triton"]

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"


def program(name: str) -> str:
    """Where a program of Debian's packages prometheus and prometheus-alertmanager is."""
    return shutil.which(name) or missing(name)


def output(name: str, *arguments: str, stdin: str | None = None) -> str:
    """The output of a program about a file that is in order."""
    ran = subprocess.run(
        [program(name), *arguments],
        cwd=MONITORING,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr
