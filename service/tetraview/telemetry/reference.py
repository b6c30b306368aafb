"""The page about all metrics: ``python -m tetraview.telemetry.reference > deploy/monitoring/metrics.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from tetraview.telemetry.metrics import Metrics

_HEAD = """# Metrics

What `/metrics` of the web port says, each metric with its labels. Printed by
`python -m tetraview.telemetry.reference`; a test holds this page to the code.

- No label names a patient, an exam or an image. `device` is manufacturer and model of the header of an image that was
  read, in small letters, 64 characters of `a-z 0-9 . / + -` at most; after 20 devices all others are `other`.
- What several replicas read from one ledger is alike at all of them; their sentences say so. Everything else is of
  one process: sum it.
- `/metrics` makes the checks of readiness anew, so `tetraview_ready` is of the moment of the scrape; with a database
  that does not answer this takes some seconds: keep `scrape_timeout` at 10 s. Triton is asked every five seconds.
- Beside these there are Prometheus' own `process_*` of the service's process.

| metric | type | labels | what it says |
|---|---|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    return _HEAD + "".join(f"{row}\n" for row in sorted(_rows(Metrics(CollectorRegistry()))))


def _rows(metrics: Metrics) -> Iterator[str]:
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001 - nothing else says them
            yield f"| `{name}` | {family.type} | {labels} | {family.documentation} |"


if __name__ == "__main__":
    sys.stdout.write(page())
