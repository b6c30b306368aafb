"""Output of a decoding process, and the form in which it is passed on: JSON and raw bytes, nothing executable."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.geometry import Affine
from tetraview.domain.view import View
from tetraview.errors import ImageUnreadable
from tetraview.imaging.canonical import CanonicalView

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedView:
    """One view, ready to be read by the networks and to be looked at."""

    #: The view in the canonical frame.
    canonical: CanonicalView
    #: uint8 [h, w], presentation values as stored, not turned, at most 1280 pixels along the longer side.
    preview: NDArray[np.uint8]
    #: Preview pixels per stored pixel.
    preview_scale: float
    #: The grey-scale transformations that were applied.
    grey_path: str
    #: Seconds that reading, decoding and resampling took.
    seconds: float

    def pack(self) -> bytes:
        """The view as bytes."""
        canonical = self.canonical
        facts = {
            "view": canonical.view,
            "spacing_mm": canonical.spacing_mm,
            "canonical_to_native": astuple(canonical.canonical_to_native),
            "native_shape": canonical.native_shape,
            "magnification": canonical.magnification,
            "warnings": canonical.warnings,
            "canonical_shape": canonical.image.shape,
            "preview_shape": self.preview.shape,
            "preview_scale": self.preview_scale,
            "grey_path": self.grey_path,
            "seconds": self.seconds,
        }
        arrays = canonical.image, canonical.breast_mask, self.preview
        return pack_facts(facts) + b"".join(array.tobytes() for array in arrays)


def pack_facts(facts: dict[str, object]) -> bytes:
    """A JSON object after its length."""
    text = json.dumps(facts).encode()
    return _LENGTH.pack(len(text)) + text


def unpack(answer: bytes) -> DecodedView:
    """The view that a decoding process sent; its answer is not trusted.

    Raises:
        ImageUnreadable: the process named a reason, or its answer makes no sense.
    """
    with _distrust():
        return _view(*_parts(answer))


def pack_patches(patches: Mapping[str, NDArray[np.float32]]) -> bytes:
    """Patches by name, float32 [n, size, size] each, as bytes: one set after the other in the order of the names."""
    return pack_facts({}) + b"".join(patches[name].tobytes() for name in sorted(patches))


def unpack_patches(answer: bytes, *, count: int, sizes: Mapping[str, int]) -> dict[str, NDArray[np.float32]]:
    """The patches that a decoding process sent; its answer is not trusted.

    Args:
        answer: the bytes that it sent.
        count: how many boxes it was asked about.
        sizes: rows and columns of a patch by name.

    Returns:
        By name, float32 [count, size, size] in [0, 1].

    Raises:
        ImageUnreadable: the process named a reason, or its answer makes no sense.
    """
    names = sorted(sizes)
    with _distrust():
        _, content = _parts(answer)
        values = np.frombuffer(content, dtype=np.float32)
        lengths = [count * sizes[name] ** 2 for name in names]
        if len(values) != sum(lengths) or not ((values >= 0) & (values <= 1)).all():
            raise ValueError("not intensities, or not as many as asked for")
        parts = np.split(values, np.cumsum(lengths[:-1]))
        return {name: part.reshape(count, sizes[name], sizes[name]) for name, part in zip(names, parts, strict=True)}


@contextmanager
def _distrust() -> Iterator[None]:
    try:
        yield
    except (struct.error, ValueError, KeyError, TypeError):
        raise ImageUnreadable("The decoder's answer is not a decoded image.") from None


def _parts(answer: bytes) -> tuple[dict[str, object], memoryview]:
    """The facts and the arrays of an answer."""
    (length,) = _LENGTH.unpack_from(answer)
    start = _LENGTH.size + length
    facts = json.loads(answer[_LENGTH.size : start])
    if "error" in facts:
        raise ImageUnreadable(str(facts["error"]))
    return facts, memoryview(answer)[start:]


def _view(facts: dict[str, object], arrays: memoryview) -> DecodedView:
    height, width = _shape(facts["canonical_shape"])
    high, wide = _shape(facts["preview_shape"])
    ends = [4 * height * width, 5 * height * width, 5 * height * width + high * wide]
    if len(arrays) != ends[-1]:
        raise ValueError("lengths differ")
    warnings = facts["warnings"]
    affine = facts["canonical_to_native"]
    if not isinstance(warnings, list) or not isinstance(affine, list):
        raise TypeError("not lists")
    canonical = CanonicalView(
        view=View(str(facts["view"])),
        image=np.frombuffer(arrays[: ends[0]], dtype=np.float32).reshape(height, width),
        breast_mask=np.frombuffer(arrays[ends[0] : ends[1]], dtype=np.uint8).reshape(height, width) > 0,
        spacing_mm=_number(facts["spacing_mm"]),
        canonical_to_native=Affine(*(_number(value) for value in affine)),
        native_shape=_shape(facts["native_shape"]),
        magnification=_number(facts["magnification"]),
        warnings=tuple(str(warning) for warning in warnings),
    )
    return DecodedView(
        canonical=canonical,
        preview=np.frombuffer(arrays[ends[1] :], dtype=np.uint8).reshape(high, wide),
        preview_scale=_number(facts["preview_scale"]),
        grey_path=str(facts["grey_path"]),
        seconds=_number(facts["seconds"]),
    )


def _shape(value: object) -> tuple[int, int]:
    rows, columns = value if isinstance(value, list) else (None, None)
    if not (isinstance(rows, int) and isinstance(columns, int) and min(rows, columns) > 0):
        raise ValueError("not a shape")
    return rows, columns


def _number(value: object) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("not a number")
    return float(value)
