"""The commands that make synthetic exams, and send as many as a department would."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.progress import track

from tetraview.cli.terminal import console, stop_requested
from tetraview.errors import DestinationUnavailable, SettingsInvalid
from tetraview.tools.wait import waiting


def phantom(
    out: Annotated[Path, typer.Option(help="Folder for the DICOM files.")],
    seed: Annotated[int | None, typer.Option(help="Seed of the first exam; without it that of the demo.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of exams.")] = 1,
    truth: Annotated[bool, typer.Option(help="Also write truth.json and masks.")] = True,
) -> None:
    """Write synthetic four-view exams."""
    from tetraview.phantom import DEMO_SEED, RECIPES, generate
    from tetraview.phantom.dicom import write_exam

    first = DEMO_SEED if seed is None else seed
    for number in track(range(first, first + count), "making phantoms", console=console):
        folder = out / str(number) if count > 1 else out
        write_exam(generate(number, recipe=RECIPES["native"]), folder, truth=truth)
    console.print(f"{count * 4} images in {out}")


def load(
    to: Annotated[str, typer.Option(help="Receiver as AETITLE@host:port.")] = "TETRAVIEW@127.0.0.1:11112",
    calling: Annotated[str, typer.Option(help="AE title to send as.")] = "TETRAVIEW_LOAD",
    *,
    rate: Annotated[float, typer.Option(min=0.1, help="Exams an hour on average.")] = 120.0,
    count: Annotated[int, typer.Option(min=1, help="Exams in all.")] = 20,
    senders: Annotated[int, typer.Option(min=1, help="Exams sent at the same time at most.")] = 8,
    recipe: Annotated[
        str, typer.Option(help="Size of the images: native, as of a modality, or training, small.")
    ] = "native",
    seed: Annotated[int, typer.Option(help="Seed of the moments.")] = 1,
) -> None:
    """Send synthetic exams at random moments, to see what an installation carries. Not to a PACS in use."""
    from tetraview.delivery import receiver_of, store_files
    from tetraview.phantom import DEMO_SEED, RECIPES, generate
    from tetraview.phantom.dicom import write_exam
    from tetraview.tools.load import read_exam, send_load, summary

    receiver = receiver_of(to)
    if recipe not in RECIPES:
        raise SettingsInvalid(f"no recipe is called {recipe}: choose one of {', '.join(RECIPES)}")
    with stop_requested() as stop, TemporaryDirectory(prefix="tetraview-load-") as folder:
        with waiting(console, "making an exam to copy"):
            write_exam(generate(DEMO_SEED, recipe=RECIPES[recipe]), Path(folder))
        began = time.monotonic()
        sent = send_load(
            [read_exam(Path(folder))],
            lambda files: store_files(files, receiver, calling_ae_title=calling),
            rate=rate,
            count=count,
            senders=senders,
            seed=seed,
            stop=stop,
        )
        exams = list(track(sent, "sending", total=count, console=console))
        for name, value in summary(exams, seconds=time.monotonic() - began):
            console.print(f"{name}: {value}", highlight=False)
    faults = sorted({fault for exam in exams for fault in exam.faults})
    if faults:
        raise DestinationUnavailable("; ".join(faults))
