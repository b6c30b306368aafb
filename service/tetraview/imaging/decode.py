"""DICOM files to canonical views and to patches, each decoded in a disposable process with limits.

Image decoders are native code that hostile or damaged files can crash or blow up, so no pixels are decoded in the
service's own process. A decoder that dies costs one view and is reported as such.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Box
from tetraview.domain.limits import DecodeLimits
from tetraview.domain.patch import PatchShape
from tetraview.domain.view import View
from tetraview.errors import ImageUnreadable, StorageUnavailable
from tetraview.imaging.decoded import DecodedView, unpack, unpack_patches
from tetraview.imaging.sandbox import Sandbox

__all__ = ["DecodeLimits", "DecodedView", "cut_patches", "decode_view", "decode_views"]


def decode_view(path: Path, *, view: View, frame: Frame, limits: DecodeLimits) -> DecodedView:
    """Decode one DICOM Part 10 file in a process of its own.

    Args:
        path: the file.
        view: which breast and projection the image shows.
        frame: the canonical matrix to fill.
        limits: resources that the process may use.

    Raises:
        ImageUnreadable: the image cannot be decoded within the limits; the message names the reason.
        StorageUnavailable: the file exists but cannot be opened.
    """
    return unpack(_ask(path, request={"view": view, "frame": asdict(frame)}, limits=limits))


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
        limits: resources that each process may use.

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


def cut_patches(
    paths: Mapping[View, Path],
    boxes: Mapping[View, Sequence[Box]],
    *,
    shapes: Mapping[str, PatchShape],
    limits: DecodeLimits,
) -> dict[View, dict[str, NDArray[np.float32]]]:
    """The patches around boxes in the images of an exam.

    Only views with boxes are decoded, side by side and anew: no full-size pixels wait in memory for the boxes. One
    decoding of a view gives all its shapes.

    Args:
        paths: the file of each view.
        boxes: in stored pixels, by view.
        shapes: the size of a patch, by the name of the model that reads it.
        limits: resources that each process may use.

    Returns:
        By view with boxes and by name, float32 [boxes, size, size] in [0, 1], upright.

    Raises:
        ImageUnreadable: an image cannot be decoded within the limits; the message names the view.
        StorageUnavailable: a file exists but cannot be opened.
    """
    sizes = {name: shape.size for name, shape in shapes.items()}
    asked = {name: asdict(shape) for name, shape in shapes.items()}

    def cut(view: View) -> dict[str, NDArray[np.float32]]:
        request = {"view": view, "boxes": [astuple(box) for box in boxes[view]], "shapes": asked}
        try:
            answer = _ask(paths[view], request=request, limits=limits)
            return unpack_patches(answer, count=len(boxes[view]), sizes=sizes)
        except ImageUnreadable as error:
            raise ImageUnreadable(f"{view}: its candidates cannot be cut out: {error}") from None

    wanted = [view for view in boxes if boxes[view]]
    with ThreadPoolExecutor(max_workers=max(1, len(wanted))) as threads:
        return dict(zip(wanted, threads.map(cut, wanted), strict=True))


def _ask(path: Path, *, request: Mapping[str, object], limits: DecodeLimits) -> bytes:
    """The answer of a decoding process about one file."""
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        raise ImageUnreadable("The image's file is missing from the spool.") from None
    except OSError as error:
        raise StorageUnavailable(f"The image's file cannot be opened: {error.strerror}.") from None
    with file:
        return _sandbox().run(file, request=request, limits=limits)


@cache
def _sandbox() -> Sandbox:
    sandbox = Sandbox(slots=os.cpu_count() or 1)
    atexit.register(sandbox.close)
    return sandbox
