"""A process's log, observed from outside: a child that knows a name must never write it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

PREAMBLE = """
import logging, sys, threading, warnings
import structlog
from tetraview.errors import ImageUnreadable, TritonUnavailable
from tetraview.telemetry.log import configure_logging
from tetraview.telemetry.redaction import Redaction
configure_logging(level="info", stream=sys.stdout, redaction=Redaction(b"k" * 32))
log = structlog.get_logger()
name = "ZZCANARY^JANE"
"""


def run(script: str) -> tuple[list[dict[str, Any]], str]:
    """Run a script in a child that logs; its events and all that it wrote."""
    command = [sys.executable, "-c", PREAMBLE + script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stdout + done.stderr


LEAKS = {
    "field": "log.info('image_stored', patient_name=name, study_instance_uid=name, note=name)",
    "sentence": "log.info(f'stored the image of {name}')",
    "foreign exception": "\ntry: raise ValueError(name)\nexcept ValueError: log.exception('decode_failed')",
    "cause": "\ntry:\n try: raise KeyError(name)\n except KeyError as e: raise ImageUnreadable('no pixels') from e\n"
    "except ImageUnreadable: log.exception('decode_failed')",
    "library": "logging.getLogger('pynetdicom.acse').error('from %s', name)",
    "library exception": "\nlib = logging.getLogger('pydicom')\n"
    "try: raise ValueError(name)\nexcept ValueError: lib.exception(name)",
    "library with a bad format": "logging.getLogger('sqlalchemy').error('%d', name)",
    "library with an own handler": "from dbos import DBOS; DBOS(config={'name': 'test'})\n"
    "logging.getLogger('dbos').error(name)",
    "library at an odd level": "logging.getLogger('uvicorn.error').log(35, name)",
    "warning": "warnings.warn(f'invalid value {name}')",
    "pydicom warning": "import pydicom; pydicom.dataset.Dataset().PatientBirthDate = name",
    "thread": "\ndef die(): raise ValueError(name)\nt = threading.Thread(target=die); t.start(); t.join()",
    "process": "raise ValueError(name)",
    "finalizer": "\nclass C:\n def __del__(self): raise ValueError(name)\nC()",
}


@pytest.mark.parametrize("script", LEAKS.values(), ids=LEAKS.keys())
def test_a_name_is_never_written(script: str) -> None:
    """A patient's name that reaches logs, warnings or an exception in any way is left out of the JSON lines."""
    events, written = run(script)
    assert "ZZCANARY" not in written
    assert events, written


def test_an_event_is_one_line_with_time_level_and_action() -> None:
    """An event carries its time in UTC, its level, its name as action, and its harmless fields unchanged."""
    (event,), _ = run("log.info('exam_settled', exam_id='0f3ab2c4d5e6f708', views=['L-CC'])")
    assert event.pop("time").endswith("Z")
    assert event == {"level": "info", "action": "exam_settled", "exam_id": "0f3ab2c4d5e6f708", "views": ["L-CC"]}


def test_a_line_break_in_a_value_does_not_end_the_event() -> None:
    """A value with line breaks cannot forge a second event."""
    (event,), written = run(r"""log.info('exam_failed', detail='a\r\n{"action": "forged"}')""")
    assert event["detail"].startswith("a\r\n")
    assert len(written.splitlines()) == 1


def test_a_field_bound_to_the_context_is_in_the_event() -> None:
    """A field bound once for an exam is in each of its events, and is redacted like every field."""
    script = (
        "structlog.contextvars.bind_contextvars(exam_id='0f3ab2c4d5e6f708', patient_id=name); log.info('exam_read')"
    )
    (event,), _ = run(script)
    assert event["exam_id"] == "0f3ab2c4d5e6f708"
    assert event["patient_id"].startswith("hashed:")


def test_our_own_errors_keep_their_sentence() -> None:
    """The sentence of a TetraviewError, which says what to do, is kept; the types behind it are named."""
    (event,), _ = run(
        "\ntry:\n try: raise OSError('x')\n except OSError as e: raise TritonUnavailable('start Triton') from e\n"
        "except TritonUnavailable: log.exception('read_failed')"
    )
    assert event["reason"] == "start Triton"
    assert event["error"] == "tetraview.errors.TritonUnavailable"
    assert event["causes"] == ["OSError"]
    assert len(event["stack"]) == 1


def test_a_library_is_named_with_the_place_that_spoke() -> None:
    """A library's warning keeps its logger, level and place; its messages below that level are dropped."""
    events, _ = run("lib = logging.getLogger('dbos'); lib.setLevel('INFO'); lib.info('hello'); lib.warning('hello')")
    assert [(event["level"], event["action"], event["logger"]) for event in events] == [
        ("warning", "library_message", "dbos")
    ]


def test_events_below_the_level_are_dropped() -> None:
    """At level info a debug event is not written."""
    events, _ = run("log.debug('exam_settled'); log.info('exam_read')")
    assert [event["action"] for event in events] == ["exam_read"]


def test_a_dead_process_says_so() -> None:
    """An uncaught exception ends in one critical event with its type and place."""
    (event,), _ = run("raise ImageUnreadable('no pixels')")
    assert (event["level"], event["action"], event["reason"]) == ("critical", "process_died", "no pixels")
