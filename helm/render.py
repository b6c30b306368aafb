#!/usr/bin/env python3
"""Writes what the chart would install, by Helm's engine as a Python package, for those without Helm.

Needs what ``deploy/setup tests`` installs. Hooks, such as the test, are left out; the notes go to standard error.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import helm_python as helm


def main() -> None:
    """Print the manifest."""
    parser = argparse.ArgumentParser(description="Write what the chart would install.")
    parser.add_argument("release", help="name of the release")
    parser.add_argument("values", type=Path, help="file of values, YAML")
    parser.add_argument("--namespace", default="default", help="where it would be installed")
    given = parser.parse_args()
    values = helm.values_from_yaml(given.values.read_text(encoding="utf-8"))
    chart = str(Path(__file__).parent / "tetraview")
    with helm.Config(namespace=given.namespace, storage_driver="memory") as config:
        try:
            release = config.install(chart, given.release, values, dry_run="client")
        except helm.HelmError as error:
            sys.exit(f"render: {error}")
    sys.stdout.write(release["manifest"])
    sys.stderr.write(release["notes"])


if __name__ == "__main__":
    main()
