"""The observer's recalls and gains as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets.metrics import FPPI_POINTS, Froc, interval
from tetraview_nets.studies.benchmark.observer import BACKGROUND_MEAN, ROUTES, SettingReading

#: Which route is compared with which.
CONTRASTS = (
    ("bi", "single"),
    ("ipsi", "single"),
    ("ipsi", "ipsi without geometry"),
    ("tri", "single"),
    ("tri", "bi"),
    ("tri", "ipsi"),
)
#: False positives per image at which gains are stated.
GAIN_FPPI = 0.5
RESAMPLES = 200


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Recall of the first route minus that of the second at ``GAIN_FPPI``, with its 95 % paired patient bootstrap."""

    first: str
    second: str
    effect: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.effect:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def gains(frocs: Mapping[str, Froc], *, resamples: int = RESAMPLES) -> list[Gain]:
    """All contrasts of one observer."""
    points = {route: froc.recall_at([GAIN_FPPI]) for route, froc in frocs.items()}
    samples = {route: froc.bootstrap([GAIN_FPPI], resamples=resamples) for route, froc in frocs.items()}
    rows = []
    for first, second in CONTRASTS:
        low, high = interval(samples[first] - samples[second])
        effect = float((points[first] - points[second])[0])
        rows.append(Gain(first=first, second=second, effect=effect, low=float(low[0]), high=float(high[0])))
    return rows


def markdown(readings: Sequence[SettingReading], *, fitted: int, command: str) -> str:
    """The exams that were read, recall of every route, and the gains of more views."""
    exams = readings[0].evidence.exams
    note = (
        "The ceiling of the phantom benchmark: what an idealised observer gains from more views. It reads the plans of "
        f"exams (phantom generator {GENERATOR_VERSION}), no pixels: one number for the looks of each candidate, "
        f"{BACKGROUND_MEAN:g} tissue candidates a view on average, the candidate at the mirrored place, and the "
        "candidate at the same nipple distance. Masses faint in one view are as faint here. Each observer is a "
        f"logistic regression fitted on {fitted} training exams of its setting and read on {exams} test exams "
        f"({exams * 4} images). Recall counts each view of a mass."
    )
    return "\n".join(
        [
            note,
            "",
            *_settings(readings),
            "",
            *_recalls(readings),
            "",
            *_gains(readings),
            "",
            f"Made by `{command}`.",
            "",
        ]
    )


def _settings(readings: Sequence[SettingReading]) -> list[str]:
    lines = [
        "| setting | recipe | d′ of masses / mimics | an object's looks | nipple error | mass views |",
        "|---|---|---|---|---|---|",
    ]
    for reading in readings:
        setting, count = reading.setting, int(reading.evidence.mass.sum())
        looks = "the same in all views" if setting.same_looks else "drawn anew in each view"
        lines.append(
            f"| {setting.name} | {setting.recipe} | {setting.mass} / {setting.mimic} | {looks} "
            f"| {setting.nipple_error_mm:g} mm | {count} |"
        )
    return lines


def _recalls(readings: Sequence[SettingReading]) -> list[str]:
    lines = [
        f"Recall at {' / '.join(f'{rate:g}' for rate in FPPI_POINTS)} FPPI:",
        "",
        f"| setting | {' | '.join(ROUTES)} |",
        f"|{'---|' * (len(ROUTES) + 1)}",
    ]
    for reading in readings:
        cells = [" ".join(f"{recall:.2f}" for recall in froc.recall_at(FPPI_POINTS)) for froc in reading.frocs.values()]
        lines.append(f"| {reading.setting.name} | {' | '.join(cells)} |")
    return lines


def _gains(readings: Sequence[SettingReading]) -> list[str]:
    heads = [f"{first} - {second}" for first, second in CONTRASTS]
    note = (
        f"Gains in recall at {GAIN_FPPI:g} FPPI with the 95 % interval of {RESAMPLES} paired patient bootstrap "
        f"resamples. The observer *fitted on {readings[0].setting.name}* is what a network is that was trained on the "
        "default exams and is shown a control:"
    )
    lines = [
        note,
        "",
        f"| setting | fitted on | {' | '.join(heads)} |",
        f"|{'---|' * (len(heads) + 2)}",
    ]
    for reading in readings:
        observers = [("itself", reading.frocs)]
        if reading is not readings[0]:
            observers.append((readings[0].setting.name, reading.unadapted))
        for name, frocs in observers:
            lines.append(f"| {reading.setting.name} | {name} | {' | '.join(map(str, gains(frocs)))} |")
    return lines
