#!/usr/bin/env python3
"""Writes what the chart would install, by Helm's engine as a Python package, for those without Helm.

Hooks, such as the test, are left out; the notes go to standard error.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

try:
    import helm_python as helm
except ImportError:
    sys.exit("render: Helm's engine is missing: .venv/bin/pip install helm-python-sdk==0.2.2")


def main() -> None:
    """Print the manifest."""
    parser = argparse.ArgumentParser(description="Write what the chart would install.")
    parser.add_argument("release", help="name of the release")
    parser.add_argument("values", type=Path, nargs="+", help="files of values, YAML; a later one wins")
    parser.add_argument("--namespace", default="default", help="where it would be installed")
    given = parser.parse_args()
    values: dict[str, Any] = {}
    for file in given.values:
        values = _merged(values, helm.values_from_yaml(file.read_text(encoding="utf-8")))
    chart = str(Path(__file__).parent / "tetraview")
    with helm.Config(namespace=given.namespace, storage_driver="memory") as config:
        try:
            release = config.install(chart, given.release, values, dry_run="client")
        except helm.HelmError as error:
            sys.exit(f"render: {error}")
    sys.stdout.write(release["manifest"])
    sys.stderr.write(release["notes"])


def _merged(values: Any, more: Any) -> Any:
    """What Helm makes of several files: tables are joined, anything else is replaced."""
    if not isinstance(values, dict) or not isinstance(more, dict):
        return more
    return values | {key: _merged(values.get(key), value) for key, value in more.items()}


if __name__ == "__main__":
    main()
