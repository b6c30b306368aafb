"""The study of appearance leaks as a page."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets.studies.benchmark.leak import RESAMPLES, Row


def d_prime(auc: float) -> float:
    """Distance of two normal laws of unit variance with this area under their ROC curve."""
    return float(2**0.5 * NormalDist().inv_cdf(auc))


def markdown(rows: Sequence[Row], *, exams: int, source: str, command: str) -> str:
    """How well pixels tell objects apart, beside how well the laws of the generator allow them to be told apart."""
    note = (
        f"Do the looks of single objects give masses away? {exams} {source} exams of phantom generator "
        f"{GENERATOR_VERSION}; each view of an object counts. *Pixels*: a logistic regression on profile, unevenness, "
        "fine texture, contrast and size of one patch, fitted on four fifths of the exams and read on the others. "
        "*Bound*: the likelihood ratio of the laws that suspicion and contrast are drawn from. *Size alone*: masses "
        "are placed first and a large object is left out where it finds no room, so mimics are drawn a little larger. "
        f"Intervals are 95 % of {RESAMPLES} patient bootstrap resamples."
    )
    lines = [
        "| objects | n | AUC of pixels | d′ of pixels | AUC of the bound | pixels - bound | AUC of size alone | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(row) for row in rows]
    return "\n".join([note, "", *lines, "", f"Made by `{command}`.", ""])


def _line(row: Row) -> str:
    bound = row.against_bound
    cells = (
        row.name,
        f"{row.first} / {row.second}",
        str(row.pixels),
        f"{d_prime(row.pixels.value):.2f}",
        f"{bound.second:.3f}",
        f"{bound.effect:+.3f} [{bound.low:+.3f}, {bound.high:+.3f}]",
        str(row.size),
        "pixels tell more" if row.leaks else "within the bound",
    )
    return f"| {' | '.join(cells)} |"
