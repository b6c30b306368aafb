"""From folders and weights to figures, page and picture sheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from tetraview.imaging.canonical import Frame
from tetraview_nets.datasets.material import FIGURES_ONLY, DataRequest, read_folders
from tetraview_nets.datasets.truth import DatasetUnusable
from tetraview_nets.learning.cache import CacheKey, CanonicalExam, Split
from tetraview_nets.learning.figure_table import write_csv
from tetraview_nets.plain import storage as plain_storage
from tetraview_nets.plain.network import PlainDetector
from tetraview_nets.studies.real.figure import Figure
from tetraview_nets.studies.real.nipples import nipple_figures
from tetraview_nets.studies.real.reading import (
    BlobReader,
    BoxReader,
    NetworkReader,
    Reader,
    ViewReading,
    grouped,
    read_all,
)
from tetraview_nets.studies.real.recall import difference_figures, recall_figures
from tetraview_nets.studies.real.report import Counts, Outcome, markdown
from tetraview_nets.studies.real.sheets import write_sheets
from tetraview_nets.systems import DETECTORS, REPOSITORY, weights_file
from tetraview_nets.weights import WeightsCard, load_network

BLOB, PLAIN = "blob", plain_storage.NAME
#: Weights of the plain network, for the table alone.
PLAIN_WEIGHTS = REPOSITORY.parent / "results" / "plain.safetensors"


class RealPart(StrEnum):
    """Which exams of a folder; what nobody may learn from is always read whole."""

    TRAIN = "train"
    VALIDATION = "val"
    TEST = "test"
    ALL = "all"

    def holds(self, exam: CanonicalExam) -> bool:
        """Whether an exam is of the part."""
        return self is RealPart.ALL or exam.part == self.value or exam.source in FIGURES_ONLY


@dataclass(frozen=True, kw_only=True)
class RealRequest:
    """What is to be read by what."""

    data: DataRequest
    part: RealPart
    #: Names of detectors; ``blob`` and ``plain`` among them.
    detectors: Sequence[str]
    #: Weights in place of those that are served.
    weights: Mapping[str, Path] = field(default_factory=dict)
    #: Folder of page, figures and picture sheets; None to print only.
    out: Path | None = None

    def command(self) -> str:
        """What says it again, the folders by their names."""
        folders = " ".join(f"--data {folder.name.upper()}" for folder in self.data.folders)
        detectors = " ".join(f"--detector {name}" for name in self.detectors)
        weights = " ".join(f"--weights {name}={path.name}" for name, path in self.weights.items())
        return " ".join(f"tetraview_nets evaluate {folders} --split {self.part} {detectors} {weights}".split())


@dataclass(frozen=True, kw_only=True)
class NamedReader:
    """A detector with the frame that it reads and a sentence about its weights."""

    name: str
    reader: Reader
    frame: Frame
    sentence: str | None


def evaluate_real(request: RealRequest, *, console: Console) -> Outcome:
    """Read all exams by all detectors, print the page, and write it where asked.

    Raises:
        DatasetUnusable: the folders hold no exam of the part.
        WeightsInvalid: the weights of a detector cannot be used.
    """
    readers = [named_reader(name, request.weights) for name in request.detectors]
    readings = _readings(request, readers, console=console)
    outcome = Outcome(
        source=f"Part `{request.part}` of {', '.join(folder.name for folder in request.data.folders)}.",
        weights=[reader.sentence for reader in readers if reader.sentence],
        counts={group: _counts(found) for group, found in grouped(next(iter(readings.values()))).items()},
        figures=figures_of(readings),
        commands=[request.command()],
    )
    text = markdown(outcome)
    console.print(Markdown(text))
    if request.out:
        request.out.mkdir(parents=True, exist_ok=True)
        (request.out / "real.md").write_text(text, encoding="utf-8")
        write_csv(request.out / "real.csv", outcome.figures)
        write_sheets(request.out / "sheets", readings)
    return outcome


def named_reader(name: str, weights: Mapping[str, Path]) -> NamedReader:
    """A detector by its name.

    Raises:
        WeightsInvalid: its weights cannot be used.
    """
    if name == PLAIN:
        network, card = plain_storage.load(weights.get(name, PLAIN_WEIGHTS))
        reader = BoxReader(PlainDetector(network))
        return NamedReader(name=name, reader=reader, frame=network.preset.frame, sentence=sentence(name, card))
    if name == BLOB:
        frame = next(iter(plain_storage.PRESETS.values())).frame
        return NamedReader(name=name, reader=BlobReader(), frame=plain_storage.PRESETS["slim"].frame, sentence=None)
    system = DETECTORS[name]
    network, card = load_network(
        weights.get(name, weights_file(name)), name=system.card_name, presets=system.presets, build=system.build
    )
    frame = system.presets[card.preset].frame
    return NamedReader(name=name, reader=NetworkReader(network), frame=frame, sentence=sentence(name, card))


def sentence(name: str, card: WeightsCard) -> str:
    """Which weights, and what they learnt from."""
    mix = card.training.get("mix")
    source = ", ".join(mix) if mix else card.training_data
    return f"`{name}` {card.version} ({card.preset}, sha256 {card.weights_sha256[:12]}), learnt from {source}."


def _readings(
    request: RealRequest, readers: Sequence[NamedReader], *, console: Console
) -> dict[str, list[ViewReading]]:
    exams: dict[Frame, list[CanonicalExam]] = {}
    readings = {}
    for each in readers:
        if each.frame not in exams:
            key = CacheKey(recipe="", frame=each.frame, split=Split.TEST)
            exams[each.frame] = [exam for exam in read_folders(request.data, key) if request.part.holds(exam)]
        if not exams[each.frame]:
            raise DatasetUnusable(f"the folders hold no exam of the part {request.part}")
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task(each.name, total=len(exams[each.frame]))
            readings[each.name] = read_all(each.reader, exams[each.frame], done=partial(progress.advance, bar))
    return readings


def figures_of(readings: Mapping[str, Sequence[ViewReading]]) -> list[Figure]:
    """All figures of all detectors."""
    parts = {name: grouped(found) for name, found in readings.items()}
    groups = next(iter(parts.values()))
    figures = []
    for group in groups:
        for name, found in parts.items():
            figures += recall_figures(name, group, found[group])
            figures += nipple_figures(name, group, found[group])
        if PLAIN in parts:
            figures += difference_figures(group, {name: found[group] for name, found in parts.items()}, other=PLAIN)
    return figures


def _counts(readings: Sequence[ViewReading]) -> Counts:
    return Counts(
        patients=len({reading.exam.seed for reading in readings}),
        images=len(readings),
        masses=sum(len(reading.exam.masses(reading.view)) for reading in readings),
    )
