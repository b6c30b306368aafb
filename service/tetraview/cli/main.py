"""The command line. A command imports what it alone needs, so that others need not wait for it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.progress import track

from tetraview import __version__
from tetraview.cli.find import find
from tetraview.cli.jobs import jobs, requeue
from tetraview.cli.phantom import load, phantom
from tetraview.cli.senders import senders_app
from tetraview.cli.terminal import ConfigFile, console, errors, stop_requested
from tetraview.domain.reading import Reading
from tetraview.errors import SettingsInvalid, TetraviewError
from tetraview.report.findings_table import findings_table
from tetraview.report.statement import statement
from tetraview.settings import ClassifierName, DetectorName, SegmenterName, Settings, load_settings
from tetraview.settings.text import settings_text, starter_text
from tetraview.storage.scratch import scratch_folder

app = typer.Typer(
    help="Reads screening mammograms four views at a time. Research software, not for clinical use.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(senders_app, name="senders")


def _print_version(asked: bool) -> None:
    if asked:
        console.print(f"tetraview {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The options of no command."""


DicomPaths = Annotated[list[Path], typer.Argument(help="DICOM files, or folders of them.")]
Studies = Annotated[list[str] | None, typer.Option("--study", help="Study Instance UID; may be repeated.")]


def main() -> None:
    """Run the command line; an error of ours or of the file system is one sentence and exit status 1."""
    try:
        app()
    except TetraviewError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'the system'}: {error.strerror}")


def _fail(sentence: str) -> NoReturn:
    errors.print(f"tetraview: {sentence}")
    sys.exit(1)


@app.command()
def serve(config: ConfigFile = None) -> None:
    """Run the service: receive exams, read them, deliver results. Logs are JSON lines on standard output."""
    from tetraview.app import App

    settings = load_settings(config)
    with stop_requested() as stop, App(settings, log=sys.stdout):
        stop.wait()
    sys.stdout.flush()
    # Otherwise Python would wait without end for work that DBOS began with a database that is away.
    os._exit(0)


@app.command()
def demo(
    folder: Annotated[Path | None, typer.Argument(help="Your own DICOM images; without it a synthetic exam.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for everything the demo leaves.")] = Path("demo-output"),
) -> None:
    """Send one exam through PACS, tetraview and Triton on this machine and show the results that come back."""
    from tetraview.tools.demo.demo import run_demo

    with stop_requested() as stop:
        run_demo(folder, out=out, console=console, stop=stop)


@app.command()
def send(
    paths: DicomPaths,
    to: Annotated[str, typer.Option(help="Receiver as AETITLE@host:port.")] = "TETRAVIEW@127.0.0.1:11112",
    calling: Annotated[str, typer.Option(help="AE title to send as.")] = "TETRAVIEW_SCU",
    *,
    tls_ca: Annotated[Path | None, typer.Option(help="Send by TLS to a receiver certified by these (PEM).")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="Our certificate (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
) -> None:
    """Send DICOM files by C-STORE, each in the transfer syntax it has."""
    from tetraview.delivery import receiver_of, store_files
    from tetraview.tools.files import dicom_files

    receiver = receiver_of(to, tls_ca_file=tls_ca, tls_certificate=tls_certificate, tls_key=tls_key)
    files = [file for path in paths for file in (dicom_files(path) if path.is_dir() else [path])]
    if not files:
        _fail("none of these folders holds a DICOM file (Part 10)")
    sent = store_files(files, receiver, calling_ae_title=calling)
    refused = [
        f"{path}: {answer}" for path, answer in track(sent, "sending", total=len(files), console=console) if answer
    ]
    console.print(f"{len(files) - len(refused)} of {len(files)} files stored")
    if refused:
        _fail("; ".join(refused))


@app.command()
def read(
    out: Annotated[Path, typer.Option(help="Folder for result objects, picture and findings.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="DICOM files, or folders of them.")] = None,
    *,
    source: Annotated[
        str | None, typer.Option("--from", help="Archive: https://…/dicom-web, or the name of a destination.")
    ] = None,
    study: Studies = None,
    output: Annotated[
        list[str] | None,
        typer.Option(help="Output profile: pacs, workstation, ohif, slicer, air or your own; may be repeated."),
    ] = None,
    ae_title: Annotated[
        str | None, typer.Option(help="Read as if sent to this AE title of ours, by the models of its profile.")
    ] = None,
    detector: Annotated[DetectorName | None, typer.Option(help="Find masses by this model.")] = None,
    segmenter: Annotated[SegmenterName | None, typer.Option(help="Outline them by this model.")] = None,
    classifier: Annotated[ClassifierName | None, typer.Option(help="Grade them by this model.")] = None,
    config: ConfigFile = None,
) -> None:
    """Read exams from files, or from an archive, into a folder; starts Triton when none answers.

    The models are those of the settings unless --ae-title, --detector, --segmenter or --classifier name others.
    """
    from tetraview.tools.files import find_exams
    from tetraview.tools.offline import read_as, read_to_folder, triton_at_hand
    from tetraview.tools.wait import said_if_long, waiting

    settings = load_settings(config)
    called = ae_title or settings.dicom.ae_title
    outputs = [settings.output(name) for name in dict.fromkeys(output)] if output else settings.outputs_in_use
    settings = read_as(
        settings, ae_title=called, outputs=outputs, detector=detector, segmenter=segmenter, classifier=classifier
    )
    if bool(paths) is bool(source) or bool(source) is not bool(study):
        _fail("name DICOM files, or --from with one --study or more")
    with ExitStack() as stack:
        if source:
            paths = [stack.enter_context(_retrieved(source, study or [], settings))]
        found = find_exams(paths or [], called_ae_title=called, policy=settings.images_of(called))
        for path, reason in found.left_out:
            console.print(f"left out {path}: {reason}", style="yellow", markup=False, highlight=False, soft_wrap=True)
        if not found.exams:
            _fail("none of these files is a mammogram that can be read")
        at, names = settings.triton.url, ", ".join(settings.model_names)
        with waiting(console, f"waiting for Triton, at {at} or else started for this, to load {names}"):
            settings = stack.enter_context(triton_at_hand(settings, outputs=outputs))
        for exam in track(found.exams, "reading", console=console, transient=True):
            folder = out / exam.exam_id if len(found.exams) > 1 else out
            console.print(f"reading {', '.join(exam.images)} into {folder}")
            with said_if_long(console, f"waiting for Triton at {settings.triton.url} to read them"):
                reading = read_to_folder(exam, folder, settings=settings, outputs=outputs).reading
            _show(reading)


@contextmanager
def _retrieved(source: str, studies: list[str], settings: Settings) -> Iterator[Path]:
    """A folder with the mammograms of studies, as long as they are needed."""
    from tetraview.tools.retrieve import find_studies, open_archive, retrieve_study
    from tetraview.tools.wait import waiting

    archive = open_archive(source, settings)
    with scratch_folder(settings.data_dir) as folder:
        for study in find_studies(archive, studies=studies):
            with waiting(console, f"waiting for {source} to send {study.study_instance_uid}"):
                retrieve_study(archive, study, folder)
        yield folder


@app.command()
def pull(
    source: Annotated[str, typer.Option("--from", help="Name of a destination with ae_title, host and port.")],
    study: Studies = None,
    date: Annotated[str, typer.Option(help="Study dates, such as 20260101-20260131.")] = "",
    config: ConfigFile = None,
) -> None:
    """Have an archive send studies to the running service, which reads them and delivers as always."""
    from tetraview.tools.retrieve import pull as pull_studies

    settings = load_settings(config)
    failed = 0
    console.print(f"asking {source} to send mammograms to {settings.dicom.ae_title}", markup=False, highlight=False)
    for pulled in pull_studies(settings, source=source, studies=study, dates=date):
        moved, failed = pulled.moved, failed + pulled.moved.failed
        counts = f"{moved.completed} sent, {moved.warning} with warning, {moved.failed} failed"
        console.print(f"{pulled.study.study_instance_uid}: {counts}", highlight=False, soft_wrap=True)
    if failed:
        _fail(f"{failed} images were not sent: the log of {source} says why")


@app.command()
def survey(
    paths: Annotated[list[Path] | None, typer.Argument(help="DICOM files, or folders of them.")] = None,
    *,
    pacs: Annotated[
        str | None, typer.Option(help="Archive in place of files: https://…/dicom-web, or the name of a destination.")
    ] = None,
    date: Annotated[str, typer.Option(help="Study dates there, such as 20260101-20260131.")] = "",
    csv: Annotated[Path | None, typer.Option(help="CSV of files to write; that of exams is put beside it.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Picture to write, SVG.")] = None,
    images: Annotated[bool, typer.Option("--images", help="Also list every file.")] = False,
    ae_title: Annotated[str | None, typer.Option(help="As if sent to this AE title of ours.")] = None,
    config: ConfigFile = None,
) -> None:
    """Say which exams of an archive would be read and why others would not, without reading any."""
    from tetraview.tools.files import files_in
    from tetraview.tools.retrieve import open_archive, retrieved_files
    from tetraview.tools.survey import run_survey

    settings = load_settings(config)
    if bool(paths) is bool(pacs) or (date and not pacs):
        _fail("name DICOM files or folders, or --pacs with --date")
    with ExitStack() as stack:
        if pacs:
            folder = stack.enter_context(scratch_folder(settings.data_dir))
            files = retrieved_files(open_archive(pacs, settings), folder, dates=date)
        else:
            files = files_in(paths or [])
        run_survey(
            files,
            settings=settings,
            ae_title=ae_title or settings.dicom.ae_title,
            sheet=csv,
            picture_path=picture,
            images=images,
            console=console,
        )


def _show(reading: Reading) -> None:
    console.print(findings_table(reading))
    console.print(statement(reading.training), style="bold", highlight=False, soft_wrap=True)
    for view in reading.views:
        if view.failure:
            console.print(f"{view.view} was not read: {view.failure}", style="red", markup=False)


@app.command()
def triton(
    port: Annotated[int | None, typer.Option(help="gRPC port, 0 a free one; without it that of triton.url.")] = None,
    metrics_port: Annotated[int, typer.Option(help="Port of Triton's own metrics.")] = 8002,
    repository: Annotated[
        Path | None,
        typer.Option(help="Triton model repository with other weights; default: the shipped one."),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Run NVIDIA Triton until Ctrl-C with the models that a settings file names, or with all models if there is none.

    A model takes some hundred megabytes of memory. Its description, including the training data of its weights, comes
    from the repository that is served.
    """
    from tetraview.inference.server import TritonServer
    from tetraview.tools.wait import waiting

    settings = load_settings(config)
    models = settings.model_names if config else ()
    port = int(settings.triton.url.rpartition(":")[2]) if port is None else port
    with stop_requested() as stop, ExitStack() as stack:
        with waiting(console, f"loading {', '.join(models) or 'all models'}"):
            server = stack.enter_context(
                TritonServer(repository=repository, models=models, grpc_port=port, metrics_port=metrics_port)
            )
        console.print(f"Triton serves gRPC at {server.url}, metrics at {server.metrics_url}")
        ended = threading.Event()
        threading.Thread(target=_watch, args=(server.wait, stop, ended), daemon=True).start()
        stop.wait()
        if ended.is_set():
            _fail("Triton ended by itself: start it again")


def _watch(wait: Callable[[], object], stop: threading.Event, ended: threading.Event) -> None:
    """Say when Triton has ended although nobody asked for it."""
    wait()
    if not stop.is_set():
        ended.set()
        stop.set()


@app.command()
def doctor(config: ConfigFile = None) -> None:
    """Check what the service needs and say what to fix."""
    from tetraview.tools.doctor import Health, examine

    settings = load_settings(config)
    colours = {Health.GOOD: "green", Health.REMARK: "yellow", Health.FAULT: "red"}
    console.print("✓ settings", style="green")
    for ae_title in settings.called_ae_titles:
        stages = settings.stages_of(ae_title)
        console.print(f"  {ae_title}: {stages.detector}, {stages.segmenter}, {stages.classifier}", highlight=False)
    for destination in settings.destinations:
        objects = ", ".join(settings.output(destination.output).objects)
        console.print(f"  {destination.name} gets {objects} ({destination.output})", markup=False, highlight=False)
    healthy = True
    for diagnosis in examine(settings):
        healthy &= diagnosis.health is not Health.FAULT
        line = f"{diagnosis.health} {diagnosis.what}{': ' * bool(diagnosis.sentence)}{diagnosis.sentence}"
        console.print(line, style=colours[diagnosis.health], markup=False, highlight=False, soft_wrap=True)
    if not healthy:
        sys.exit(1)


@app.command()
def probe(
    to: Annotated[str, typer.Option(help="Name of a destination in the settings.")],
    out: Annotated[Path, typer.Option(help="Folder for what is sent and a picture of it.")] = Path("probe-output"),
    config: ConfigFile = None,
) -> None:
    """Send a synthetic exam with known marks to a destination and print what a viewer there should show."""
    from tetraview.tools.probe.probe import run_probe

    settings = load_settings(config)
    run_probe(settings, settings.destination(to), out=out, console=console)


app.command()(find)
app.command()(load)
app.command()(phantom)
app.command()(jobs)
app.command()(requeue)


@app.command()
def config(
    config: ConfigFile = None,
    *,
    starter: Annotated[
        str | None,
        typer.Option(
            metavar="AETITLE@host:port", help="Print a short first file for this PACS in place of everything."
        ),
    ] = None,
    calls_from: Annotated[
        list[str] | None, typer.Option(help="Address that it calls from, with --starter; default: those of its host.")
    ] = None,
) -> None:
    """Print every setting with its present value and meaning, as a TOML file."""
    if starter is None:
        sys.stdout.write(settings_text(load_settings(config)))
        return
    from tetraview.delivery import receiver_of
    from tetraview.wire.resolve import addresses_of

    pacs = receiver_of(starter)
    addresses = calls_from or addresses_of(pacs.host)
    if not addresses:
        raise SettingsInvalid(
            f"no host is called {pacs.host}: check the name, or say where it calls from by --calls-from"
        )
    sys.stdout.write(starter_text(pacs, addresses=addresses))


@app.command()
def conformance() -> None:
    """Print the DICOM conformance statement of this version, Markdown."""
    from tetraview.tools.conformance.statement import conformance_statement

    sys.stdout.write(conformance_statement())
