"""Which protocol a destination speaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom.filereader import read_file_meta_info

from tetraview.delivery import modality, scu, stow
from tetraview.delivery.entity import awaiting_files
from tetraview.domain.delivery import ResultObject
from tetraview.errors import DeliveryRefused
from tetraview.settings import Destination


@awaiting_files()
def deliver(path: Path, result: ResultObject, destination: Destination, *, calling_ae_title: str = "TETRAVIEW") -> str:
    """Send one object by STOW-RS or C-STORE.

    Args:
        path: the DICOM file (PS3.10).
        result: the object that it holds.
        destination: receiver of the object.
        calling_ae_title: our AE title, where the protocol has such.

    Returns:
        The answer in words: the destination has the object.

    Raises:
        DestinationUnavailable: nobody knows whether it has the object, it asked for another try, or we cannot read our
            token or certificates now.
        DeliveryRefused: it will not take the object.
        StorageUnavailable: the file cannot be read.
    """
    if destination.url:
        return stow.store(path, destination, sop_instance_uid=result.sop_instance_uid, what=result.kind)
    return scu.deliver(path, result, destination, calling_ae_title=calling_ae_title)


def deliver_files(
    files: Sequence[Path], destination: Destination, *, calling_ae_title: str
) -> Iterator[tuple[Path, str]]:
    """Send images to a destination.

    Args:
        files: DICOM files (Part 10).
        destination: receiver of the objects.
        calling_ae_title: our AE title, where the protocol has such.

    Yields:
        Each file with nothing where it was stored, else the reason why not.

    Raises:
        DestinationUnavailable: it does not answer.
        SettingsInvalid: the files of token or certificates cannot be read.
    """
    if not destination.url:
        yield from modality.store_files(files, destination, calling_ae_title=calling_ae_title)
        return
    for file in files:
        uid = str(read_file_meta_info(file).MediaStorageSOPInstanceUID)
        try:
            stow.store(file, destination, sop_instance_uid=uid, what="image")
        except DeliveryRefused as fault:
            yield file, str(fault)
        else:
            yield file, ""


def echo(destination: Destination) -> None:
    """Ask a destination whether it is there, by QIDO-RS or C-ECHO.

    Raises:
        DestinationUnavailable: it does not answer with success.
        SettingsInvalid: the files of token or certificates cannot be read.
    """
    if destination.url:
        stow.echo(destination)
    else:
        modality.echo(destination)
