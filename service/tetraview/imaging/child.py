"""The process that forks one disposable decoder per image: ``python -m tetraview.imaging.child``.

It has the decoders imported, runs no other thread and never touches an image itself, so a fork is cheap and safe
even though the service has many threads. Standard input is a SOCK_SEQPACKET socket. One packet is one request:
JSON with the limits, the view and either frame or boxes and patch shapes by name, and three descriptors: the file,
where the answer goes, and where two numbers go once the decoder has ended, its wait status and whether its time on the
clock was up.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import resource
import select
import signal
import socket
import struct
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import pydicom.config

from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Box
from tetraview.domain.limits import DecodeLimits
from tetraview.domain.patch import PatchShape
from tetraview.domain.view import View
from tetraview.errors import ImageUnreadable
from tetraview.imaging.decoded import pack_facts, pack_patches
from tetraview.imaging.image_file import read_patches, read_view

#: Wait status of the decoder and whether it was stopped for being late.
ENDING = struct.Struct(">i?")
REQUEST_BYTES, REQUEST_DESCRIPTORS = 65_536, 3


@dataclass(frozen=True, kw_only=True)
class _Decoder:
    """A running decoder."""

    #: Where its ending is reported.
    ending: int
    #: Monotonic time at which it is stopped.
    deadline: float


def main() -> None:
    """Serve until the service closes its end or dies."""
    _prepare()
    control = socket.socket(fileno=os.dup(0))
    alarm = _wake_on_child_exit()
    running: dict[int, _Decoder] = {}
    sources: list[Any] = [control, alarm]
    while True:
        ready, _, _ = select.select(sources, [], [], _next_deadline(running))
        if alarm in ready:
            os.read(alarm, 4096)
        if control in ready and not _accept(control, running):
            break
        _reap(running, late=_stop_late(running))
    for pid in running:
        os.kill(pid, signal.SIGKILL)


def _prepare() -> None:
    """Quiet libraries, since their warnings quote attribute values, and be the first to go when memory runs out."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    cv2.setNumThreads(1)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    gc.freeze()


def _wake_on_child_exit() -> int:
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
    signal.set_wakeup_fd(write)
    return read


def _next_deadline(running: dict[int, _Decoder]) -> float | None:
    if not running:
        return None
    return max(0.0, min(decoder.deadline for decoder in running.values()) - time.monotonic())


def _accept(control: socket.socket, running: dict[int, _Decoder]) -> bool:
    """Fork a decoder for the next request; False when the service is gone."""
    packet, descriptors, _, _ = socket.recv_fds(control, REQUEST_BYTES, REQUEST_DESCRIPTORS)
    if not packet:
        return False
    request = json.loads(packet)
    limits = DecodeLimits(**request.pop("limits"))
    file, answer, ending = descriptors
    pid = os.fork()
    if pid == 0:
        control.close()
        _close(ending, *(decoder.ending for decoder in running.values()))
        _become_decoder(lambda: _decode(file, answer, request=request, limits=limits))
    _close(file, answer)
    running[pid] = _Decoder(ending=ending, deadline=time.monotonic() + limits.wall_seconds)
    return True


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _stop_late(running: dict[int, _Decoder]) -> frozenset[int]:
    """Kill the decoders whose time is up."""
    now = time.monotonic()
    late = frozenset(pid for pid, decoder in running.items() if decoder.deadline <= now)
    for pid in late:
        os.kill(pid, signal.SIGKILL)
    return late


def _reap(running: dict[int, _Decoder], *, late: frozenset[int]) -> None:
    """Report the decoders that have ended; those just killed are waited for."""
    for pid in tuple(running):
        ended, status = os.waitpid(pid, 0 if pid in late else os.WNOHANG)
        if not ended:
            continue
        ending = running.pop(pid).ending
        with contextlib.suppress(BrokenPipeError):
            os.write(ending, ENDING.pack(status, pid in late))
        os.close(ending)


def _become_decoder(work: Callable[[], None]) -> None:
    """Run the work in the forked process and leave it without returning."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def _decode(file: int, answer: int, *, request: dict[str, Any], limits: DecodeLimits) -> None:
    _bind(limits)
    with socket.socket(fileno=answer) as out, os.fdopen(file, "rb") as source:
        try:
            packed = _packed(source, request=request, max_pixels=limits.max_pixels)
        except ImageUnreadable as error:
            packed = pack_facts({"error": str(error)})
        except MemoryError:
            packed = pack_facts({"error": f"Decoding needs more than {limits.memory_bytes // 10**6} MB of memory."})
        # A decoder's panic is a BaseException; its text may quote the file, its name does not.
        except BaseException:  # noqa: BLE001
            packed = pack_facts({"error": "The image cannot be decoded: its header or its pixel data are damaged."})
        out.sendall(packed)


def _bind(limits: DecodeLimits) -> None:
    """Bind this process for good: no more than this, no files, no core dump, no further processes."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC):
        resource.setrlimit(kind, (0, 0))


def _packed(source: BinaryIO, *, request: dict[str, Any], max_pixels: int) -> bytes:
    """The answer to a request for patches or for a view."""
    view = View(request["view"])
    if "boxes" in request:
        boxes = [Box(*box) for box in request["boxes"]]
        shapes = {name: PatchShape(**shape) for name, shape in request["shapes"].items()}
        return pack_patches(read_patches(source, view=view, boxes=boxes, shapes=shapes, max_pixels=max_pixels))
    return read_view(source, view=view, frame=Frame(**request["frame"]), max_pixels=max_pixels).pack()


if __name__ == "__main__":
    main()
