"""DICOM files to canonical views, each decoded in a disposable process with limits.

Image decoders are native code that hostile or damaged files can crash or blow up, so no pixels are decoded in the
service's own process. A decoder that dies costs one view and is reported as such.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cache
from pathlib import Path

from tetraview.domain.view import View
from tetraview.errors import ImageUnreadable, StorageUnavailable
from tetraview.imaging.canonical import Frame
from tetraview.imaging.decoded import DecodedView, unpack
from tetraview.imaging.limits import DecodeLimits
from tetraview.imaging.sandbox import Sandbox

__all__ = ["DecodeLimits", "DecodedView", "decode_view", "decode_views"]


def decode_view(path: Path, *, view: View, frame: Frame, limits: DecodeLimits) -> DecodedView:
    """Decode one DICOM Part 10 file in a process of its own.

    Args:
        path: the file.
        view: which breast and projection the image shows.
        frame: the canonical matrix to fill.
        limits: what the process may use.

    Raises:
        ImageUnreadable: the image cannot be decoded within the limits; the message names the reason.
        StorageUnavailable: the file exists but cannot be opened.
    """
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        raise ImageUnreadable("The image's file is missing from the spool.") from None
    except OSError as error:
        raise StorageUnavailable(f"The image's file cannot be opened: {error.strerror}.") from None
    with file:
        answer = _sandbox().run(file, request={"view": view, "frame": asdict(frame)}, limits=limits)
    return unpack(answer)


def decode_views(
    paths: Mapping[View, Path],
    *,
    frame: Frame,
    limits: DecodeLimits,
) -> dict[View, DecodedView | ImageUnreadable]:
    """Decode the views of an exam side by side; one that cannot be read does not take the others down.

    Args:
        paths: the file of each view.
        frame: the canonical matrix to fill.
        limits: what each process may use.

    Raises:
        StorageUnavailable: a file exists but cannot be opened.
    """

    def attempt(view: View) -> DecodedView | ImageUnreadable:
        try:
            return decode_view(paths[view], view=view, frame=frame, limits=limits)
        except ImageUnreadable as error:
            return error

    with ThreadPoolExecutor(max_workers=max(1, len(paths))) as threads:
        return dict(zip(paths, threads.map(attempt, paths), strict=True))


@cache
def _sandbox() -> Sandbox:
    sandbox = Sandbox(slots=os.cpu_count() or 1)
    atexit.register(sandbox.close)
    return sandbox
