"""How far nipples are found from where a person marked them with certainty."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from tetraview.domain.view import ViewPosition
from tetraview_nets.blocks.landmark import MIN_CONFIDENCE
from tetraview_nets.learning.cache import VIEWS
from tetraview_nets.metrics import interval, patient_weights
from tetraview_nets.metrics.arrays import Floats, Integers
from tetraview_nets.studies.real.figure import Figure, Group
from tetraview_nets.studies.real.reading import ViewReading

#: The table.
NIPPLE = "nipple"
#: A nipple further off than this is wrong.
FAR_MM = 15.0
BOTH = "CC and MLO"
#: Whether a place is given, its distance from the mark, and whether that is too far.
FOUND, MEDIAN, FAR = "found", "median mm", f"> {FAR_MM:g} mm off"


def nipple_figures(system: str, group: Group, readings: Sequence[ViewReading]) -> list[Figure]:
    """The figures of one reader, none where it looks for no nipple or nobody marked any."""
    marked = [each for each in readings if each.nipple is not None and each.exam.nipple_known[each.view]]
    parts = {BOTH: marked}
    for position in ViewPosition:
        parts[str(position)] = [each for each in marked if VIEWS[each.view].position is position]
    return [each for name, found in parts.items() if found for each in _figures(system, group, name, found)]


def _figures(system: str, group: Group, part: str, marked: Sequence[ViewReading]) -> list[Figure]:
    errors = np.array([error_mm(each) for each in marked])
    _, patients = np.unique([each.exam.seed for each in marked], return_inverse=True)
    figures = []
    for measure, of in MEASURES.items():
        value, low, high = with_ends(errors, patients, of)
        figures.append(
            Figure(
                table=NIPPLE,
                system=system,
                data=group.data,
                medium=group.medium,
                of=part,
                measure=measure,
                count=len(marked),
                value=value,
                low=low,
                high=high,
            )
        )
    return figures


def error_mm(reading: ViewReading) -> float:
    """Distance of a nipple from its mark; infinite where none is given that the reader trusts."""
    assert reading.nipple is not None
    x, y, confidence = reading.nipple
    if confidence < MIN_CONFIDENCE:
        return np.inf
    mark = reading.exam.nipples[reading.view]
    return float(np.hypot(x - mark[0], y - mark[1]) * reading.exam.spacing_mm[reading.view])


def _found(errors: Floats) -> float:
    return float(np.isfinite(errors).mean())


def _median(errors: Floats) -> float:
    given = errors[np.isfinite(errors)]
    return float(np.median(given)) if len(given) else np.nan


def _far(errors: Floats) -> float:
    given = errors[np.isfinite(errors)]
    return float((given > FAR_MM).mean()) if len(given) else np.nan


#: Measures, each computed from the errors of all marks.
MEASURES: Mapping[str, Callable[[Floats], float]] = MappingProxyType({FOUND: _found, MEDIAN: _median, FAR: _far})


def with_ends(values: Floats, patients: Integers, figure: Callable[[Floats], float]) -> tuple[float, float, float]:
    """A figure of values [N] and the ends of its interval over resampled patients [N]."""
    weights = patient_weights(int(patients.max()) + 1)
    low, high = interval(np.array([figure(np.repeat(values, weight[patients])) for weight in weights]))
    return figure(values), float(low), float(high)
