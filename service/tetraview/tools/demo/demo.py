"""The demo: PACS, Triton and tetraview on this machine, one exam in, findings out."""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tetraview.app import App
from tetraview.delivery import receiver_of, store_files
from tetraview.domain.exam import ExamState
from tetraview.domain.reading import Reading
from tetraview.domain.view import Route
from tetraview.errors import Permanent, Transient
from tetraview.inference.server import TritonServer
from tetraview.ledger import ExamSummary
from tetraview.phantom import DEMO_SEED, RECIPES, generate
from tetraview.phantom.dicom import write_exam
from tetraview.report.contact_sheet import contact_sheet
from tetraview.report.findings_table import findings_table
from tetraview.report.statement import statement
from tetraview.settings import Completeness, Dicom, Settings, Triton, Web, load_settings
from tetraview.storage.folders import Folders
from tetraview.tools.demo.pacs import Pacs, running_pacs
from tetraview.tools.files import find_exams
from tetraview.tools.wait import waiting

#: The demo knows that no further image comes.
_COMPLETENESS = Completeness(quiet_seconds=1.0, timeout_seconds=4.0)
_PATIENCE_SECONDS = 120.0
_POLL_SECONDS = 0.1
#: File that marks a folder as one whose contents a demo may replace.
_MARK = ".tetraview-demo"
_STAGES = ("decode", "detect", "findings", "classify", "report", "deliver")


def run_demo(folder: Path | None, *, out: Path, console: Console, stop: threading.Event) -> None:
    """Start everything, send one exam, show the results, and stop.

    Args:
        folder: DICOM images of one exam; None makes a synthetic one.
        out: folder for all files; files from an earlier demo are replaced.
        console: where progress and results are shown.
        stop: set when the person asks to stop.

    Raises:
        Permanent: the folder holds no readable exam, the exam failed, or `out` holds files that are not from a demo.
        Transient: the exam was not done in time.
    """
    _clear(out, folder)
    images = _images(folder, out / "phantom", console=console)
    with ExitStack() as stack:
        with waiting(console, "starting the PACS"):
            pacs = stack.enter_context(running_pacs(out / "pacs"))
        console.print(f"✓ PACS: {pacs.name}")
        if stop.is_set():
            return
        with waiting(console, "starting Triton"):
            server = TritonServer(models=Triton().stages.names, grpc_port=0, metrics_port=None, log=out / "triton.log")
            triton = stack.enter_context(server)
        console.print(f"✓ Triton at {triton.url}")
        if stop.is_set():
            return
        log = stack.enter_context((out / "service.log").open("w"))
        app = stack.enter_context(App(_settings(out / "service", triton=triton.url, pacs=pacs), log=log))
        receiver = f"TETRAVIEW@127.0.0.1:{app.dicom_port}"
        console.print(f"✓ tetraview: C-STORE to {receiver}, pages at {app.web_url}", soft_wrap=True)
        summary = _send_and_wait(app, images, console=console, stop=stop)
        if summary is not None:
            _show(app, summary, pacs, images=images, out=out, console=console)
            if console.is_interactive:
                console.print("Everything keeps running. Press Ctrl-C to stop.", style="dim")
                stop.wait()
            else:
                console.print("Run it in a terminal to keep PACS and pages running.", style="dim")


def _clear(out: Path, folder: Path | None) -> None:
    """Delete what an earlier demo left, known by its mark, but never the images that are about to be read."""
    leftovers = [out / name for name in ("service", "pacs", "phantom")]
    mark = out / _MARK
    if not mark.exists() and any(leftover.exists() for leftover in leftovers):
        raise Permanent(f"{out} holds folders that no demo made: choose another one with --out")
    for leftover in leftovers:
        if folder is None or not folder.resolve().is_relative_to(leftover.resolve()):
            shutil.rmtree(leftover, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    mark.touch()


def _images(folder: Path | None, phantom: Path, *, console: Console) -> list[Path]:
    if folder is None:
        with waiting(console, "making a synthetic exam"):
            paths = write_exam(generate(DEMO_SEED, recipe=RECIPES["native"]), phantom, truth=True)
        console.print(f"✓ synthetic exam in {phantom}")
        return list(paths.values())
    found = find_exams([folder])
    for path, reason in found.left_out:
        console.print(f"left out {path}: {reason}", style="yellow", markup=False, soft_wrap=True)
    if not found.exams:
        raise Permanent(f"{folder} holds no mammogram that can be read")
    if len(found.exams) > 1:
        raise Permanent(f"{folder} holds {len(found.exams)} exams: name the folder of one")
    return [Path(instance.path) for instance in found.exams[0].images.values()]


def _settings(data: Path, *, triton: str, pacs: Pacs) -> Settings:
    return load_settings().model_copy(
        update={
            "data_dir": data,
            "database_url": None,
            "database_url_file": None,
            "role": "all",
            "dicom": Dicom(port=0),
            "web": Web(port=0),
            "completeness": _COMPLETENESS,
            "triton": Triton(url=triton),
            "profiles": (),
            "destinations": (pacs.destination,),
        }
    )


def _send_and_wait(app: App, images: list[Path], *, console: Console, stop: threading.Event) -> ExamSummary | None:
    """The exam once it has ended; None where the person asked to stop before."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("sending", total=len(images) + len(_STAGES) - 1)
        receiver = receiver_of(f"TETRAVIEW@127.0.0.1:{app.dicom_port}")
        for path, refusal in store_files(images, receiver, calling_ae_title="MODALITY"):
            if refusal:
                raise Permanent(f"{path} was not stored: {refusal}")
            progress.advance(task)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline and not stop.wait(_POLL_SECONDS):
            (summary,) = app.ledger.exams(limit=1)
            progress.update(task, description=summary.state, completed=len(images) + len(summary.stage_seconds))
            if summary.state in {ExamState.DONE, ExamState.FAILED, ExamState.SKIPPED}:
                return summary
    if stop.is_set():
        return None
    raise Transient(f"the exam was not done after {_PATIENCE_SECONDS:g} s: see service.log")


def _show(app: App, summary: ExamSummary, pacs: Pacs, *, images: list[Path], out: Path, console: Console) -> None:
    reading = app.ledger.reading(summary.exam_id)
    if summary.state is not ExamState.DONE or reading is None:
        raise Permanent(f"the exam {summary.state}: {summary.detail}")
    console.print(findings_table(reading))
    _show_degraded(reading, console=console)
    folder = Folders(data=out / "service").results(summary.exam_id, reading.generation)
    sheet = out / "views.png"
    sheet.write_bytes(contact_sheet(reading, folder=folder))
    _show_times(summary, reading, console=console)
    console.print(f"picture   {sheet}")
    for delivery in app.ledger.deliveries(summary.exam_id):
        sent = f"{delivery.result.kind:<9} {folder / delivery.result.path}, {delivery.state} to {pacs.name}"
        console.print(sent, soft_wrap=True)
    study_instance_uid = next(iter(find_exams(images).exams[0].images.values())).study_instance_uid
    console.print(f"PACS      {pacs.study_page(study_instance_uid) or pacs.folder}", soft_wrap=True)
    console.print(f"exam page {app.web_url}/exams/{summary.exam_id}", soft_wrap=True)
    console.print(statement(reading.training), style="bold", soft_wrap=True)


def _show_degraded(reading: Reading, *, console: Console) -> None:
    for view in reading.views:
        if view.failure:
            console.print(f"{view.view} could not be read: {view.failure}", style="red", markup=False)
        elif view.route is not Route.TRI:
            console.print(f"{view.view} is read in the degraded route {view.route}: views are missing", style="yellow")


def _show_times(summary: ExamSummary, reading: Reading, *, console: Console) -> None:
    stages = "  ".join(f"{stage} {seconds:.2f} s" for stage, seconds in summary.stage_seconds.items())
    waited = (reading.started_at - summary.last_image_at).total_seconds()
    whole = (summary.updated_at - summary.last_image_at).total_seconds()
    console.print(f"times     {stages}", soft_wrap=True)
    console.print(
        f"          {whole:.1f} s from the last image to the last delivery, {waited:.1f} s of it waiting for more"
    )
