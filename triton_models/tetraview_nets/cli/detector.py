"""The command line that every detector of exams has: render the exams it reads, and evaluate it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import torch
import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from tetraview.domain.view import Route
from tetraview_nets.cli.options import CacheOption, ThreadsOption, WorkersOption
from tetraview_nets.cli.real import AnySplit, AnySplitOption, RealDataOption, evaluate_data
from tetraview_nets.datasets.catalogue import DatasetName
from tetraview_nets.datasets.command import DatasetRequest, evaluate_folder
from tetraview_nets.datasets.grouping import Part
from tetraview_nets.learning import cache
from tetraview_nets.learning.cache import CROWDED, CacheKey, ExamSet, Split
from tetraview_nets.learning.evaluate import Detector
from tetraview_nets.learning.figure_table import write_csv
from tetraview_nets.system import ExamSystem
from tetraview_nets.systems import weights_file as shipped
from tetraview_nets.weights import WeightsCard, load_network

#: Four views with an image and a mask.
BYTES_PER_PIXEL = 8

console = Console()


class ExamRecipe(Protocol):
    """The phantom exams that a training of a detector reads."""

    @property
    def phantom(self) -> str:
        """Name of the phantom recipe."""

    @property
    def exams(self) -> int:
        """Number of training exams."""

    @property
    def crowded_exams(self) -> int:
        """Number of further exams, from the crowded phantom recipe."""

    @property
    def validation_exams(self) -> int:
        """Number of exams of the validation split that it uses."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """Results of a detector on exams."""

    #: Makes the page from the command that produced it and from its source.
    markdown: Callable[..., str]
    #: Rows of tables, by the ends of their files' names.
    tables: Mapping[str, Sequence[Any]]


@dataclass(frozen=True, kw_only=True)
class DetectorPackage:
    """One detector of exams, as its command line needs it."""

    #: Name of the command and of the tables of results.
    name: str
    system: ExamSystem
    recipes: Mapping[str, ExamRecipe]
    #: Makes the reader of exams from a network.
    detector: Callable[[Any], Detector]
    #: The routes that it can read by, the usual one first.
    routes: tuple[Route, ...]
    #: Reads exams with a network by routes; the last argument is called after each exam.
    results: Callable[[Any, ExamSet, Sequence[Route], Callable[[], None]], Results]

    @property
    def weights(self) -> Path:
        """The weights that Triton serves."""
        return shipped(self.system.name)

    def load(self, weights_file: Path) -> tuple[Any, WeightsCard]:
        """The network with the weights of a file, and their card.

        Raises:
            WeightsInvalid: the file is not usable or not of this network.
        """
        system = self.system
        return load_network(weights_file, name=system.card_name, presets=system.presets, build=system.build)

    def key(self, preset: str, split: Split, *, phantom: str | None = None) -> CacheKey:
        """The place of a preset's exams in the cache, with its recipe's phantoms or with others."""
        recipe = phantom or self.recipes[preset].phantom
        return CacheKey(recipe=recipe, frame=self.system.presets[preset].frame, split=split)

    def by(self, routes: Sequence[Route] | None) -> list[Route]:
        """The routes to read by, chosen from those that were asked for.

        Raises:
            typer.BadParameter: it cannot read by one of them.
        """
        for route in routes or ():
            if route not in self.routes:
                raise typer.BadParameter(f"{self.name} reads by {', '.join(self.routes)}, not by {route}")
        return list(routes or self.routes[:1])


def source_of(card: WeightsCard) -> str:
    """The weights' description in a report."""
    return f"weights {card.name} {card.version} ({card.preset}, sha256 {card.weights_sha256[:12]})"


def render(key: CacheKey, exams: int, *, workers: int, root: Path | None) -> Path:
    """Render those exams that the cache lacks, under a progress bar, and return their folder."""
    with Progress(console=console) as progress:
        gigabytes = exams * key.frame.height * key.frame.width * BYTES_PER_PIXEL / 1e9
        bar = progress.add_task(f"{key.split} phantoms ({gigabytes:.1f} GB)", total=exams)
        return cache.build(key, exams=exams, workers=workers, root=root, done=lambda n: progress.advance(bar, n))


def rendered(key: CacheKey, exams: int, *, workers: int, root: Path | None) -> ExamSet:
    """The first exams of a split, rendered where the cache lacks them."""
    render(key, exams, workers=workers, root=root)
    return ExamSet(key, exams=exams, root=root)


def render_recipe(package: DetectorPackage, preset: str, *, workers: int, root: Path | None) -> None:
    """Render the exams that a training and its export read."""
    recipe = package.recipes[preset]
    render(package.key(preset, Split.TRAIN), recipe.exams, workers=workers, root=root)
    if recipe.crowded_exams:
        render(package.key(preset, Split.TRAIN, phantom=CROWDED), recipe.crowded_exams, workers=workers, root=root)
    render(package.key(preset, Split.VALIDATION), recipe.validation_exams, workers=workers, root=root)


def add_evaluation(app: typer.Typer, package: DetectorPackage, *, text: str) -> None:
    """Give a command line `evaluate` on phantom exams and on data sets."""
    out_option = typer.Option(None, help=f"Folder for {package.name}_PRESET.md and .csv; default: print only.")
    route_option = typer.Option(None, help=f"Of {', '.join(package.routes)}; default {package.routes[0]}.")

    @app.command("evaluate", help=text)
    def evaluate_command(  # noqa: PLR0917
        folder: Annotated[Path | None, typer.Argument(help="Folder of the data set; default: phantoms.")] = None,
        dataset: Annotated[DatasetName | None, typer.Option(help="A data set of real mammograms.")] = None,
        part: Annotated[Part, typer.Option(help="Which of its exams.")] = Part.ALL,
        spacing_mm: Annotated[float | None, typer.Option(help="Pixel spacing of images that do not state one.")] = None,
        spacing_source: Annotated[str | None, typer.Option(help="Where that spacing is from.")] = None,
        route: list[Route] | None = route_option,
        exams: Annotated[int, typer.Option(min=1, help="How many exams of the split.")] = 200,
        split: AnySplitOption = None,
        data: RealDataOption = None,
        weights_file: Annotated[Path, typer.Option(help="A weights file.")] = package.weights,
        out: Path | None = out_option,
        threads: ThreadsOption = 2,
        workers: WorkersOption = 2,
        cache_root: CacheOption = None,
    ) -> None:
        torch.set_num_threads(threads)
        if data:
            evaluate_data(
                data,
                split=split,
                systems=[package.system.name],
                weights={package.system.name: weights_file},
                out=out,
                workers=workers,
                root=cache_root,
            )
            return
        seeds = (split or AnySplit.TEST).of_phantoms()
        request = DatasetRequest.of(dataset, folder, part=part, spacing_mm=spacing_mm, spacing_source=spacing_source)
        network, card = package.load(weights_file)
        if request:
            reader = package.detector(network), package.by(route)
            frame, source = network.preset.frame, f"Read with {source_of(card)}. {card.trained}"
            evaluate_folder(request, {package.name: reader}, frame=frame, weights=source, console=console, out=out)
            return
        chosen = rendered(package.key(card.preset, seeds), exams, workers=workers, root=cache_root)
        flags = "".join(f" --route {each}" for each in route or ())
        command = f"tetraview_nets {package.name} evaluate{flags} --exams {exams} --split {seeds}"
        judge(package, network, card, chosen, routes=package.by(route), split=seeds, command=command, out=out)


def judge(
    package: DetectorPackage,
    network: Any,
    card: WeightsCard,
    exams: ExamSet,
    *,
    routes: Sequence[Route],
    split: Split,
    command: str,
    out: Path | None,
) -> None:
    """Print a network's results on phantom exams, and write them where asked."""
    with Progress(console=console) as progress:
        bar = progress.add_task("exams", total=len(exams))
        results = package.results(network, exams, routes, lambda: progress.advance(bar))
    source = f"{len(exams)} {split} exams of phantom generator {card.generator_version}; {source_of(card)}."
    text = results.markdown(command=command, source=source)
    console.print(Markdown(text))
    if out:
        for ending, rows in results.tables.items():
            write_csv(out / f"{package.name}_{card.preset}{ending}.csv", rows)
        (out / f"{package.name}_{card.preset}.md").write_text(text, encoding="utf-8")
