"""Previews of views, as the pages and pictures show them."""

from __future__ import annotations

from pathlib import Path

import cv2

from tetraview.errors import ImageUnreadable
from tetraview.imaging.decoded import DecodedView
from tetraview.storage.durable import write_file


def write_preview(path: Path, image: DecodedView) -> None:
    """Write a view's preview as PNG.

    Raises:
        ImageUnreadable: it cannot be encoded.
        StorageUnavailable: the file cannot be written.
    """
    encoded, picture = cv2.imencode(".png", image.preview)
    if not encoded:
        raise ImageUnreadable(f"the preview of {image.canonical.view} cannot be encoded")
    write_file(path, picture.tobytes())
