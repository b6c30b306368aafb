"""One DICOM file to one decoded view or to patches, in the calling process; untrusted files go through ``decode``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, uid
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder

from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Box
from tetraview.domain.patch import PatchShape
from tetraview.domain.view import View
from tetraview.encoding.elements import DataSetDamaged
from tetraview.encoding.part10 import NotPart10, Part10
from tetraview.errors import ImageUnreadable
from tetraview.imaging.canonical import to_canonical
from tetraview.imaging.codestream import CodestreamHeader, codestream
from tetraview.imaging.decoded import DecodedView
from tetraview.imaging.header import PixelHeader
from tetraview.imaging.patch import GreyWindow, upright_patches
from tetraview.imaging.presentation import grey_scale
from tetraview.imaging.upright import upright

_PREVIEW_SIDE = 1280

_NATIVE = frozenset({uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian})
#: The decoders of each compressed transfer syntax, the first one first; gdcm is never one of them.
_DECODERS = {
    uid.RLELossless: ("pydicom",),
    uid.JPEGBaseline8Bit: ("pylibjpeg",),
    uid.JPEGExtended12Bit: ("pylibjpeg",),
    uid.JPEGLossless: ("pylibjpeg",),
    uid.JPEGLosslessSV1: ("pylibjpeg",),
    uid.JPEGLSLossless: ("pyjpegls", "pylibjpeg"),
    uid.JPEGLSNearLossless: ("pyjpegls", "pylibjpeg"),
    uid.JPEG2000Lossless: ("pylibjpeg",),
    uid.JPEG2000: ("pylibjpeg",),
}


def read_view(file: BinaryIO, *, view: View, frame: Frame, max_pixels: int) -> DecodedView:
    """Read, decode and resample one view.

    Args:
        file: a DICOM Part 10 file, at its start.
        view: which breast and projection the image shows.
        frame: the canonical matrix to fill.
        max_pixels: largest Rows times Columns that is decoded.

    Raises:
        ImageUnreadable: the file is no single-frame greyscale image that can be decoded.
    """
    started = time.monotonic()
    pixels, header, grey_path = _presentation(file, max_pixels=max_pixels)
    canonical = to_canonical(
        pixels,
        view=view,
        spacing_mm=header.spacing_mm,
        patient_orientation=header.patient_orientation,
        frame=frame,
    )
    preview_scale = min(1.0, _PREVIEW_SIDE / max(pixels.shape))
    return DecodedView(
        canonical=replace(canonical, magnification=header.lengths.magnification),
        preview=_preview(pixels, preview_scale),
        preview_scale=preview_scale,
        grey_path=grey_path,
        seconds=time.monotonic() - started,
    )


def read_patches(
    file: BinaryIO, *, view: View, boxes: Sequence[Box], shapes: Mapping[str, PatchShape], max_pixels: int
) -> dict[str, NDArray[np.float32]]:
    """Read and decode one image, turn it upright and cut the patches around some boxes.

    Args:
        file: a DICOM Part 10 file, at its start.
        view: which breast and projection the image shows.
        boxes: in stored pixels.
        shapes: the size of a patch, by the name of the model that reads it.
        max_pixels: largest Rows times Columns that is decoded.

    Returns:
        By name, float32 [boxes, size, size], intensity in [0, 1], upright.

    Raises:
        ImageUnreadable: the file is no single-frame greyscale image of a breast that can be decoded.
    """
    pixels, header, _ = _presentation(file, max_pixels=max_pixels)
    image = upright(pixels, view=view, spacing_mm=header.spacing_mm, patient_orientation=header.patient_orientation)
    window = GreyWindow.of_breast(image.pixels, image.breast_mask)
    return {name: upright_patches(image, boxes=boxes, window=window, shape=shape) for name, shape in shapes.items()}


def _presentation(file: BinaryIO, *, max_pixels: int) -> tuple[NDArray[np.float32], PixelHeader, str]:
    """The presentation values, float32 [rows, columns], with their description and how they came about."""
    dataset, syntax = _read(file)
    header = PixelHeader.of(dataset, max_pixels=max_pixels)
    stored = _stored_values(dataset, syntax, header)
    scale = grey_scale(stored, dataset=dataset, header=header)
    return scale(stored), header, scale.path


def _read(file: BinaryIO) -> tuple[Dataset, uid.UID]:
    """The data set and its transfer syntax, which is looked at first: a deflated one unpacks to any size."""
    buffer = file.read()
    try:
        head = Part10.of(buffer)
        syntax = uid.UID(head.transfer_syntax_uid)
        if syntax not in _NATIVE and syntax not in _DECODERS:
            name = syntax.name if syntax.is_valid else "missing"
            raise ImageUnreadable(f"The transfer syntax is not read: {name}.")
        return head.data_set(buffer, pixels=True), syntax
    except (NotPart10, DataSetDamaged) as error:
        raise ImageUnreadable(str(error)) from None


def _stored_values(dataset: Dataset, syntax: uid.UID, header: PixelHeader) -> NDArray[np.integer]:
    """The stored values, int or uint [rows, columns], with bits above Bits Stored removed."""
    if not dataset.get("PixelData"):
        raise ImageUnreadable("The image has no pixel data.")
    if syntax in _NATIVE:
        _check_native(dataset, header)
        stored, _ = get_decoder(syntax).as_array(dataset, index=0)
    else:
        stored = _decompressed(dataset, syntax, header)
    return np.ascontiguousarray(stored)


def _check_native(dataset: Dataset, header: PixelHeader) -> None:
    found = len(dataset.PixelData)
    if found < header.native_bytes:
        raise ImageUnreadable(f"The pixel data are truncated: {found} bytes where {header.native_bytes} are needed.")


def _decompressed(dataset: Dataset, syntax: uid.UID, header: PixelHeader) -> NDArray[np.integer]:
    """The values of a compressed image, by the first of its decoders that does not give up."""
    if syntax != uid.RLELossless:
        frame = codestream(get_frame(dataset.PixelData, 0, number_of_frames=1))
        _check_codestream(frame, header)
        dataset.PixelData = encapsulate([frame], has_bot=False)
    for decoder in _DECODERS[syntax]:
        if (stored := _attempt(dataset, syntax, decoder)) is not None:
            return stored
    raise ImageUnreadable(f"The compressed pixel data are damaged: no decoder of {syntax.name} can read them.")


def _attempt(dataset: Dataset, syntax: uid.UID, decoder: str) -> NDArray[np.integer] | None:
    """The values by one decoder; None where it gives up."""
    try:
        stored, _ = get_decoder(syntax).as_array(dataset, index=0, decoding_plugin=decoder)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - each decoder has its own, and their texts may quote the file
        return None
    return stored


def _check_codestream(frame: bytes, header: PixelHeader) -> None:
    """The codestream must be the image that the header describes, or a decoder would allocate what it asks for."""
    found = CodestreamHeader.of(frame)
    if (found.rows, found.columns) != (header.rows, header.columns):
        raise ImageUnreadable(
            f"The compressed image is {found.rows} by {found.columns} pixels, "
            f"the header says {header.rows} by {header.columns}."
        )
    if found.components != 1 or found.precision > header.bits_allocated:
        raise ImageUnreadable(
            f"The compressed image has {found.components} components of {found.precision} bits, "
            f"the header says 1 of at most {header.bits_allocated}."
        )


def _preview(pixels: NDArray[np.float32], scale: float) -> NDArray[np.uint8]:
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small, 0.0, 1.0) * 255 + 0.5, dtype=np.uint8)
