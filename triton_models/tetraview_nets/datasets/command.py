"""`tetraview_nets evaluate --dataset`: from a folder to a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from tetraview.domain.frame import Frame
from tetraview_nets.datasets import report
from tetraview_nets.datasets.catalogue import LOADERS, DatasetName
from tetraview_nets.datasets.evaluation import Reader, evaluate
from tetraview_nets.datasets.grouping import Part, select
from tetraview_nets.datasets.truth import AssumedSpacing, DatasetUnusable
from tetraview_nets.learning import froc_table


@dataclass(frozen=True, kw_only=True)
class DatasetRequest:
    """Which images of which data set."""

    dataset: DatasetName
    folder: Path
    part: Part
    spacing: AssumedSpacing | None

    @classmethod
    def of(
        cls,
        dataset: DatasetName | None,
        folder: Path | None,
        *,
        part: Part,
        spacing_mm: float | None,
        spacing_source: str | None,
    ) -> DatasetRequest | None:
        """The request of a command line, None where it asks for no data set.

        Raises:
            DatasetUnusable: options that belong together are not all there.
        """
        if dataset is None and folder is None:
            return None
        if dataset is None or folder is None:
            raise DatasetUnusable("a data set is named with its folder: evaluate --dataset inbreast FOLDER")
        if (spacing_mm is None) != (spacing_source is None):
            raise DatasetUnusable("--spacing-mm and --spacing-source are given together or not at all")
        spacing = None if spacing_mm is None else AssumedSpacing(mm=spacing_mm, source=spacing_source or "")
        return cls(dataset=dataset, folder=folder, part=part, spacing=spacing)

    @property
    def flags(self) -> str:
        """The options that say it again, without the folder."""
        spacing = f' --spacing-mm {self.spacing.mm:g} --spacing-source "{self.spacing.source}"' if self.spacing else ""
        return f"--dataset {self.dataset} FOLDER --part {self.part}{spacing}"


def evaluate_folder(
    request: DatasetRequest,
    readers: Mapping[str, Reader],
    *,
    frame: Frame,
    weights: str,
    console: Console,
    out: Path | None,
) -> None:
    """Read a data set, print the report, and write it where asked.

    Args:
        request: which images.
        readers: detectors by name, with their routes.
        frame: the matrix that they read.
        weights: a sentence about the weights.
        console: where progress and report go.
        out: folder for NAME.md, NAME.csv with the figures and NAME_skipped.csv.

    Raises:
        DatasetUnusable: the folder does not hold the data set, or nothing in it can be used.
    """
    collection = select(LOADERS[request.dataset](request.folder, request.spacing), request.part)
    with Progress(console=console) as progress:
        bar = progress.add_task(f"{request.dataset} exams", total=len(collection.exams))
        evaluation = evaluate(collection, readers, frame=frame, done=partial(progress.advance, bar))
    detectors = " ".join(f"--detector {name}" for name in readers)
    routes = sorted({f"--route {route}" for _, each in readers.values() for route in each})
    command = f"tetraview_nets evaluate {request.flags} {detectors} {' '.join(routes)}"
    text = report.markdown(evaluation, weights=weights, command=command, spacing=request.spacing)
    console.print(Markdown(text))
    if out:
        froc_table.write_csv(out / f"{request.dataset}.csv", report.rows(evaluation))
        (out / f"{request.dataset}.md").write_text(text, encoding="utf-8")
        report.write_skipped(out / f"{request.dataset}_skipped.csv", evaluation.skipped)
