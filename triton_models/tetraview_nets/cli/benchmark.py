"""The command line of the benchmark's own checks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.markdown import Markdown

from tetraview.phantom import GENERATOR_VERSION, RECIPES
from tetraview_nets.cli.real import RealDataOption, named_weights
from tetraview_nets.datasets.hybrid import HYBRID, hybrids, is_laid
from tetraview_nets.datasets.material import FIGURES_ONLY, DataRequest, exam_material, read_folders
from tetraview_nets.learning import cache
from tetraview_nets.learning.cache import PHANTOM, CacheKey, ExamSet, Split
from tetraview_nets.mommi.nipples import with_found_nipples
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.mommi.storage import SHIPPED_WEIGHTS, load
from tetraview_nets.studies import mixture
from tetraview_nets.studies.benchmark import (
    closure,
    cost,
    engines,
    leak,
    leak_table,
    linking,
    observer,
    observer_table,
    realism,
)
from tetraview_nets.studies.real.command import RealPart
from tetraview_nets.studies.real.systems import sentence
from tetraview_nets.systems import DETECTORS, REPOSITORY, SYSTEMS, served, weights_file
from tetraview_nets.weights import WeightsCard, load_network
from tetraview_nets.yolo_msp.system import SYSTEM as YOLO_MSP

app = typer.Typer(help="Check what the phantom benchmark can show and what it gives away.", no_args_is_help=True)
console = Console()

OutOption = Annotated[Path | None, typer.Option(help="Folder for the page; default: print only.")]


@app.callback()
def benchmark() -> None:
    """Check what the phantom benchmark can show and what it gives away."""


def _rendered(key: CacheKey, *, exams: int, workers: int, root: Path | None) -> ExamSet:
    """The first phantoms of a cache, rendered where it lacks them."""
    cache.build(key, exams=exams, workers=workers, root=root)
    return ExamSet(key, exams=exams, root=root)


@app.command("observer")
def observer_command(
    fitted: Annotated[int, typer.Option(min=20, help="Training exams an observer is fitted on.")] = 400,
    tested: Annotated[int, typer.Option(min=20, help="Test exams it reads.")] = 1200,
    out: OutOption = None,
) -> None:
    """Print how much an idealised observer gains from more views, by default and in the controls."""
    readings = observer.study(fitted=fitted, tested=tested)
    command = f"tetraview_nets benchmark observer --fitted {fitted} --tested {tested}"
    _show(observer_table.markdown(readings, fitted=fitted, command=command), out, "phantom_observer.md")


@app.command("leak")
def leak_command(
    exams: Annotated[int, typer.Option(min=25, help="Training exams whose objects are read.")] = 1000,
    workers: Annotated[int, typer.Option(min=1, help="Processes that render missing phantoms.")] = 2,
    cache_root: Annotated[Path | None, typer.Option(help="Root of the phantom cache.")] = None,
    out: OutOption = None,
) -> None:
    """Print how well the pixels of single objects tell masses from what mimics them, beside the bound."""
    key = CacheKey(recipe="training", frame=PRESETS["slim"].frame, split=Split.TRAIN)
    shown = _rendered(key, exams=exams, workers=workers, root=cache_root)
    rows = leak.study(leak.collect(shown, RECIPES[key.recipe]))
    command = f"tetraview_nets benchmark leak --exams {exams}"
    _show(leak_table.markdown(rows, exams=exams, source="training", command=command), out, "phantom_leak.md")


@app.command("realism")
def realism_command(
    data: Annotated[Path, typer.Option(help="Folder of mammograms; its training part is read.")],
    exams: Annotated[int, typer.Option(min=25, help="Phantoms, and patients at most.")] = 300,
    workers: Annotated[int, typer.Option(min=1, help="Processes that render missing phantoms.")] = 2,
    cache_root: Annotated[Path | None, typer.Option(help="Root of the caches.")] = None,
    out: OutOption = None,
) -> None:
    """Print how well a linear probe tells phantoms from patients and laid-in masses from free places."""
    key = CacheKey(recipe="training", frame=PRESETS["slim"].frame, split=Split.TRAIN)
    shown = _rendered(key, exams=exams, workers=workers, root=cache_root)
    request = DataRequest(folders=[data], mix=None, workers=workers, root=cache_root)
    patients = [exam for exam in read_folders(request, key) if exam.part == "train" and exam.source not in FIGURES_ONLY]
    own = {name: [exam for exam in patients if exam.source == name] for name in sorted({e.source for e in patients})}
    rows = [
        realism.phantom_or_patient(shown, some[:exams], name=f"phantoms of generator {GENERATOR_VERSION} / {name}")
        for name, some in own.items()
    ]
    laid = hybrids([exam for some in own.values() for exam in some[:exams]], count=2 * exams)
    rows += [
        realism.seams(laid, chosen=is_laid, name="laid-in masses / free places"),
        realism.seams(laid, chosen=lambda label: not is_laid(label), name="real masses / free places"),
    ]
    _show(realism.markdown(rows, command=f"tetraview_nets benchmark realism --exams {exams}"), out, "realism.md")


@app.command("mixture")
def mixture_command(  # noqa: PLR0917
    data: Annotated[Path, typer.Option(help="Folder of mammograms with a training and a validation part.")],
    runs: Annotated[Path, typer.Option(help="Folder of the trainings; a killed run goes on from it.")],
    steps: Annotated[int, typer.Option(min=1, help="Steps of each training.")] = 800,
    nipples: Annotated[Path, typer.Option(help="Weights that find unmarked nipples.")] = SHIPPED_WEIGHTS,
    cache_root: Annotated[Path | None, typer.Option(help="Root of the caches.")] = None,
    out: OutOption = None,
) -> None:
    """Train the ipsilateral detector from patients, phantoms and hybrids in turn, and print what each is worth."""
    torch.set_num_threads(1)
    key = CacheKey(recipe="training", frame=PRESETS["light"].frame, split=Split.TRAIN)
    everything = f"CBIS-DDSM=1,CDD-CESM=1,{HYBRID}=1,{PHANTOM}=1"
    request = DataRequest(folders=[data], mix=everything, workers=1, root=cache_root)
    told = partial(with_found_nipples, network=load(nipples)[0].nipple)
    material = exam_material(request, key, told=told)
    study = mixture.Study(material=material, folder=runs, steps=steps, device=torch.device("cpu"))
    sets = sorted({exam.source for exam in material.validation})
    found = {
        name: mixture.results(study, [exam for exam in material.validation if exam.source == name]) for name in sets
    }
    page = mixture.markdown(found, steps=steps, command=f"tetraview_nets benchmark mixture --steps {steps}")
    _show(page, out, "mixture.md")


@app.command("cost")
def cost_command(
    repeats: Annotated[int, typer.Option(min=1, help="Readings of each model.")] = 5,
    repository: Annotated[Path, typer.Option(help="Repository with the weights.")] = REPOSITORY,
    out: OutOption = None,
) -> None:
    """Print the CPU seconds that each served model takes for the demo's exam with twelve candidates."""
    torch.set_num_threads(1)
    rows = cost.costs(served(repository), repeats=repeats, repository=repository)
    _show(cost.markdown(rows, command=f"tetraview_nets benchmark cost --repeats {repeats}"), out, "cost.md")


@app.command("closure")
def closure_command(
    repository: Annotated[Path, typer.Option(help="Repository of the models.")] = REPOSITORY,
    out: OutOption = None,
) -> None:
    """Print which modules of this package each served model loads, and how many lines they have."""
    rows = closure.closures(list(SYSTEMS), repository)
    _show(closure.markdown(rows, command="tetraview_nets benchmark closure"), out, "closure.md")


@app.command("backends")
def backends_command(
    exported: Annotated[Path, typer.Argument(help="A repository that `tetraview_nets export` wrote.")],
    model: Annotated[list[str] | None, typer.Option(help="A served model; may be repeated; default all.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Turns of each engine.")] = 7,
    repository: Annotated[Path, typer.Option(help="Repository with the weights.")] = REPOSITORY,
    out: OutOption = None,
) -> None:
    """Print the CPU seconds of PyTorch, ONNX Runtime and, where it is installed, OpenVINO side by side."""
    torch.set_num_threads(1)
    names = model or served(repository)
    races = [engines.race(name, exported, repeats=repeats, repository=repository) for name in names]
    command = f"tetraview_nets benchmark backends DIR --repeats {repeats}"
    _show(engines.markdown(races, command=command), out, "backends.md")


ExamsOption = Annotated[int, typer.Option(min=1, help="Phantom exams.")]
RenderersOption = Annotated[int, typer.Option(min=1, help="Processes that render missing phantoms.")]
RootOption = Annotated[Path | None, typer.Option(help="Root of the phantom cache.")]


@app.command("linking")
def linking_command(  # noqa: PLR0917
    weights: Annotated[list[str] | None, typer.Option(help="SYSTEM=FILE in place of shipped weights.")] = None,
    data: RealDataOption = None,
    exams: ExamsOption = 200,
    workers: RenderersOption = 2,
    cache_root: RootOption = None,
    out: OutOption = None,
) -> None:
    """Print how often the right marks in CC and MLO are linked: phantoms, and the validation exams of folders."""
    torch.set_num_threads(1)
    request = DataRequest(folders=data or [], mix=None, workers=workers, root=cache_root)
    sections = []
    for name, file in ((name, named_weights(weights).get(name, weights_file(name))) for name in DETECTORS):
        found, card = _breasts(name, file, request, exams=exams, split=Split.TEST)
        sections.append(linking.section(linking.rows(found), weights=sentence(name, card)))
    flags = [f"--data {folder.name.upper()}" for folder in data or ()] + [f"--exams {exams}"]
    _show(linking.markdown(sections, command=f"tetraview_nets benchmark linking {' '.join(flags)}"), out, "linking.md")


@app.command("geometry")
def geometry_command(
    data: RealDataOption = None,
    exams: ExamsOption = 100,
    workers: RenderersOption = 2,
    cache_root: RootOption = None,
) -> None:
    """Fit how detectors without relations link CC and MLO, to the marks of yolo_msp on validation exams."""
    torch.set_num_threads(1)
    request = DataRequest(folders=data or [], mix=None, workers=workers, root=cache_root)
    name = YOLO_MSP.name
    found, _ = _breasts(name, weights_file(name), request, exams=exams, split=Split.VALIDATION)
    console.print_json(data=linking.geometry_of([breast for breast in found if breast.source not in FIGURES_ONLY]))


def _breasts(
    name: str, file: Path, request: DataRequest, *, exams: int, split: Split
) -> tuple[list[linking.Breast], WeightsCard]:
    """A detector's marks in phantoms of a split and in the validation exams of folders, and its card."""
    system = DETECTORS[name]
    network, card = load_network(file, name=system.card_name, presets=system.presets, build=system.build)
    key = CacheKey(recipe="training", frame=system.presets[card.preset].frame, split=split)
    cache.build(key, exams=exams, workers=request.workers, root=request.root)
    real = [exam for exam in read_folders(request, key) if RealPart.VALIDATION.holds(exam)]
    chosen = [*ExamSet(key, exams=exams, root=request.root), *real]
    return list(linking.read(network, chosen, card.operating_points["balanced"])), card


def _show(text: str, out: Path | None, name: str) -> None:
    console.print(Markdown(text))
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")
