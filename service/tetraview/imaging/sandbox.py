"""The service's end of the process that forks decoders: starts it, asks it, and says how a decoder ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import BinaryIO

from tetraview.domain.limits import DecodeLimits
from tetraview.errors import ImageUnreadable
from tetraview.imaging.child import ENDING

#: Seconds beyond the wall limit before the forking process itself counts as hung.
_GRACE_SECONDS = 15.0
_ATTEMPTS = 2
_CHUNK = 1 << 20
#: The environment that decoders see; whatever else the service has, such as secrets, stays with it.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "HOME", "LANG")
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class _ForkerGone(Exception):
    """The forking process ended before it answered."""


class _Forker:
    """One forking process and the socket on which it takes requests."""

    def __init__(self) -> None:
        self._control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with far:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tetraview.imaging.child"],
                stdin=far.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | _ONE_THREAD,
                cwd="/",
                start_new_session=True,
            )

    def send(self, packet: bytes, *, descriptors: list[int]) -> None:
        try:
            socket.send_fds(self._control, [packet], descriptors)
        except OSError:
            raise _ForkerGone from None

    def close(self) -> None:
        self._control.close()
        self._process.kill()
        self._process.wait()


class Sandbox:
    """Runs each request in a process of its own, at most ``slots`` of them at once; safe to share among threads."""

    def __init__(self, *, slots: int) -> None:
        self._slots = threading.BoundedSemaphore(slots)
        self._lock = threading.Lock()
        self._forker: _Forker | None = None

    def run(self, file: BinaryIO, *, request: Mapping[str, object], limits: DecodeLimits) -> bytes:
        """The answer of a decoder to one request.

        Raises:
            ImageUnreadable: the decoder was killed, by a limit or by itself, or it cannot be started.
        """
        packet = json.dumps({**request, "limits": asdict(limits)}).encode()
        with self._slots:
            for _ in range(_ATTEMPTS):
                forker = self._running()
                try:
                    return _ask(forker, file, packet=packet, limits=limits)
                except _ForkerGone:
                    self._discard(forker)
        raise ImageUnreadable("The decoder does not stay alive: see that `python -m tetraview.imaging.child` starts.")

    def close(self) -> None:
        """End the forking process and with it its decoders; a later request would start another."""
        with self._lock:
            forker, self._forker = self._forker, None
        if forker is not None:
            forker.close()

    def _running(self) -> _Forker:
        with self._lock:
            self._forker = self._forker or _Forker()
            return self._forker

    def _discard(self, forker: _Forker) -> None:
        """Close a forker that failed; another thread may have replaced it already."""
        with self._lock:
            if self._forker is forker:
                self._forker = None
        forker.close()


def _ask(forker: _Forker, file: BinaryIO, *, packet: bytes, limits: DecodeLimits) -> bytes:
    deadline = time.monotonic() + limits.wall_seconds + _GRACE_SECONDS
    answer, far_answer = socket.socketpair()
    ending, far_ending = socket.socketpair()
    with answer, ending:
        with far_answer, far_ending:
            forker.send(packet, descriptors=[file.fileno(), far_answer.fileno(), far_ending.fileno()])
        payload = _read_all(answer, deadline=deadline)
        report = _read_all(ending, deadline=deadline)
    if len(report) != ENDING.size:
        raise _ForkerGone
    status, late = ENDING.unpack(report)
    _check_ending(os.waitstatus_to_exitcode(status), late=late, limits=limits)
    return payload


def _read_all(source: socket.socket, *, deadline: float) -> bytes:
    """All bytes until the other end closes; if it does not close, those that came before the deadline."""
    chunks = []
    while (left := deadline - time.monotonic()) > 0:
        source.settimeout(left)
        try:
            chunk = source.recv(_CHUNK)
        except (TimeoutError, ConnectionResetError):
            break
        if not chunk:
            break
        chunks.append(chunk)
    return b"".join(chunks)


def _check_ending(code: int, *, late: bool, limits: DecodeLimits) -> None:
    """Raise unless the decoder ended by itself and well."""
    if late:
        raise ImageUnreadable(f"Decoding was stopped after {limits.wall_seconds:g} s on the clock.")
    if code == -signal.SIGXCPU:
        raise ImageUnreadable(f"Decoding was stopped after {limits.cpu_seconds} s of processor time.")
    if code < 0:
        raise ImageUnreadable(f"The decoder was killed by {signal.Signals(-code).name} while it read the image.")
    if code > 0:
        raise ImageUnreadable("The decoder failed without a reason.")
