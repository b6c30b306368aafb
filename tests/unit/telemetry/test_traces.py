from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.support.collector import receiving

from tetraview.app import traced
from tetraview.errors import SettingsInvalid, TritonUnavailable
from tetraview.settings import load_settings
from tetraview.telemetry.collector import sending_spans
from tetraview.telemetry.traces import exam_span, record_exam, record_span, span, traceparent

EXAM = "0123456789abcdef"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@contextmanager
def process(share: float = 1.0) -> Iterator[list[ReadableSpan]]:
    """The spans that one process sends; filled when it has ended."""
    memory = InMemorySpanExporter()
    sent: list[ReadableSpan] = []
    with sending_spans(memory, share=share, resource={}):
        yield sent
    sent += memory.get_finished_spans()


def test_what_two_processes_do_for_an_exam_is_one_trace() -> None:
    """Listener, worker and a successor need not talk: trace and root follow from the exam's identifier alone."""
    with process() as listener:
        record_span("receive", EXAM, since=NOW)
        record_exam(EXAM, since=NOW)
    with process() as worker, exam_span("read", EXAM), span("detect"):
        pass
    receive, root = listener
    detect, read = worker
    assert root.parent is None
    assert receive.parent is not None
    assert read.parent is not None
    assert detect.parent is not None
    assert {each.context.trace_id for each in (*listener, *worker)} == {root.context.trace_id}
    assert receive.parent.span_id == read.parent.span_id == root.context.span_id
    assert detect.parent.span_id == read.context.span_id
    assert len({each.context.span_id for each in (*listener, *worker)}) == 4


def test_exams_within_one_another_stay_apart() -> None:
    """A span of another exam does not join the span under way in its thread."""
    with process() as sent, exam_span("read", EXAM), exam_span("read", "f" * 16):
        pass
    other, first = sent
    assert other.context.trace_id != first.context.trace_id


def test_a_span_may_have_begun_earlier() -> None:
    """A span whose exam is known only at its end still has the time of its beginning."""
    with process() as sent:
        record_span("receive", EXAM, since=datetime.now(UTC) - timedelta(seconds=5))
    (receive,) = sent
    assert receive.start_time is not None
    assert receive.end_time is not None
    assert 5e9 <= receive.end_time - receive.start_time < 60e9


def test_all_processes_choose_the_same_exams() -> None:
    """About the configured share of many exams is traced, whole: every process sends the same ones."""
    exams = [f"{number:016x}" for number in range(400)]
    chosen = []
    for name in ("receive", "read"):
        with process(share=0.25) as sent:
            for exam_id in exams:
                with exam_span(name, exam_id), span("detect"):
                    pass
        chosen.append({each.context.trace_id for each in sent})
        assert len(sent) == 2 * len(chosen[-1])
    assert chosen[0] == chosen[1]
    assert 60 < len(chosen[0]) < 140


def test_a_span_quotes_nothing() -> None:
    """An error of a library leaves its type, one of ours its sentence; a field that logs would hash is left out."""
    with process() as sent:
        with pytest.raises(ValueError, match="ZZCANARY"), exam_span("read", EXAM, patient="ZZCANARY", generation=1):
            raise ValueError("ZZCANARY^JANE")
        with pytest.raises(TritonUnavailable), exam_span("read", EXAM):
            raise TritonUnavailable("start Triton")
    foreign, ours = sent
    assert dict(foreign.attributes or {}) == {
        "tetraview.exam_id": EXAM,
        "tetraview.generation": 1,
        "error.type": "ValueError",
    }
    assert (foreign.status.is_ok, foreign.status.description, foreign.events) == (False, None, ())
    assert ours.status.description == "start Triton"
    assert "ZZCANARY" not in "".join(each.to_json() for each in sent)


def test_another_program_is_told_what_is_under_way() -> None:
    """The header names trace and span (W3C Trace Context); without a trace there is none."""
    with process() as sent, exam_span("read", EXAM):
        header = traceparent()["traceparent"]
    (read,) = sent
    assert header == f"00-{read.context.trace_id:032x}-{read.context.span_id:016x}-01"
    with exam_span("read", EXAM):
        assert traceparent() == {}


def test_a_span_of_no_exam_is_not_made() -> None:
    """Reading files outside the service leaves no trace."""
    with process() as sent, span("detect"):
        pass
    assert sent == []


def settings_of(folder: Path, text: str) -> Path:
    file = folder / "tetraview.toml"
    file.write_text(text)
    return file


def test_a_collector_gets_what_was_done_until_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans arrive by OTLP/HTTP, past proxies, with the name of the service, before the process ends."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with receiving() as received:
        file = settings_of(tmp_path, f'executor_id = "worker-1"\n[traces]\nurl = "{received.url}/"\n')
        with traced(load_settings(file)), exam_span("read", EXAM):
            pass
    assert received.names == {"read"}
    (resource,) = received.requests[0].resource_spans
    told = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    assert (told["service.name"], told["service.instance.id"], told["tetraview.role"]) == (
        "tetraview",
        "worker-1",
        "all",
    )


AWAY = """
import sys, time
from pathlib import Path
from tetraview.app import traced
from tetraview.settings import load_settings
from tetraview.telemetry.log import configure_logging
from tetraview.telemetry.redaction import Redaction
from tetraview.telemetry.traces import exam_span
configure_logging(level="info", stream=sys.stdout, redaction=Redaction(b"k" * 32))
with traced(load_settings(Path(sys.argv[1]))):
    began = time.monotonic()
    for number in range(3000):
        with exam_span("read", f"{number:016x}"):
            pass
    slowest = time.monotonic() - began
    ending = time.monotonic()
print('{"action": "ended", "work_seconds": %f, "end_seconds": %f}' % (slowest, time.monotonic() - ending))
"""


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "says nothing"])
def test_a_collector_that_is_away_slows_nothing_and_is_told_of_once(tmp_path: Path, *, silent: bool) -> None:
    """Far more spans than are kept are lost with one line in the log, and the end waits for seconds only."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        if not silent:
            server.close()
        file = settings_of(tmp_path, f'[traces]\nurl = "{url}"\n')
        command = [sys.executable, "-c", AWAY, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    lost, ended = map(json.loads, done.stdout.splitlines())
    assert (lost["action"], lost["level"], lost["url"]) == ("traces_lost", "warning", url)
    assert done.stderr == ""
    assert ended["work_seconds"] < 20
    assert ended["end_seconds"] < 20


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traces that are set and cannot be sent are an error that says what to install."""
    monkeypatch.setitem(sys.modules, "tetraview.telemetry.collector", None)
    settings = load_settings(settings_of(tmp_path, '[traces]\nurl = "http://collector:4318"\n'))
    with pytest.raises(SettingsInvalid, match=r"pip install 'tetraview\[traces\]'"):
        traced(settings)
    with traced(load_settings(settings_of(tmp_path, ""))):
        assert traceparent() == {}


@pytest.mark.parametrize(
    "text", ['url = "collector:4318"', 'url = "http://user:secret@c"', 'url = "http://c"\nshare = 1.5', "share = 0.5"]
)
def test_settings_of_traces_are_checked(tmp_path: Path, text: str) -> None:
    """No protocol, a password in the address, a share beyond all exams and no address are refused."""
    with pytest.raises(SettingsInvalid, match="traces"):
        load_settings(settings_of(tmp_path, f"[traces]\n{text}\n"))
