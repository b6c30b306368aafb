"""Files that real devices, gateways and archives send, each with the right answer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate, get_frame

from tetraview.domain.frame import Frame
from tetraview.domain.instance import Decision, Instance
from tetraview.domain.limits import DecodeLimits
from tetraview.domain.view import View
from tetraview.imaging.decode import DecodedView, decode_view
from tetraview.report.header import read_headers
from tetraview.settings import Images
from tetraview.tools.files import find_exams, instance_of

pytestmark = pytest.mark.skipif("TETRAVIEW_CASES" not in os.environ, reason="needs TETRAVIEW_CASES")
READ = ("g2_big", "g2_deflated", "ox", "trail2", "nof", "jls_pad", "j2k_pad", "erm")


def case(name: str) -> Path:
    """The file of a case."""
    return Path(os.environ["TETRAVIEW_CASES"]) / name / "R-CC.dcm"


def decoded(path: Path) -> DecodedView:
    """The view of a file."""
    frame = Frame(height=192, width=96, spacing_mm=1.5)
    return decode_view(path, view=View.R_CC, frame=frame, limits=DecodeLimits())


@pytest.mark.parametrize("name", READ)
def test_the_image_is_read_as_its_patients(name: str) -> None:
    """It is accepted, its pixels are decoded, and a report on it names the patient whom its bytes name."""
    instance = instance_of(case(name), called_ae_title="TETRAVIEW", policy=Images())
    assert isinstance(instance, Instance)
    assert (instance.eligibility.decision, instance.eligibility.view) == (Decision.READ, View.R_CC)
    assert decoded(case(name)).canonical.breast_mask.any()
    (exam,) = find_exams([case(name)]).exams
    (header,) = read_headers(exam, spool=Path("/")).values()
    assert (str(header.identity.PatientName), header.identity.PatientID[: len(name)]) == ("Bug^Case", name)


@pytest.mark.parametrize("name", ["jls_pad", "j2k_pad"])
def test_padding_changes_no_pixel(name: str, tmp_path: Path) -> None:
    """The pixels are those of the same codestream without the bytes that were put into it."""
    plain = dcmread(case(name))
    frame = get_frame(plain.PixelData, 0, number_of_frames=1).rstrip(b"\0")
    clean = frame[:-3] + b"\xff\xd9" if name == "jls_pad" and frame.endswith(b"\0\xff\xd9") else frame
    plain.PixelData = encapsulate([clean])
    plain.save_as(tmp_path / "clean.dcm")
    assert (decoded(tmp_path / "clean.dcm").canonical.image == decoded(case(name)).canonical.image).all()


@pytest.mark.parametrize("name", ["trail2", "nof", "ox", "g2_big"])
@pytest.mark.parametrize("change", ["17 zeros more", "no group length"])
def test_siblings_are_read_too(name: str, change: str, tmp_path: Path) -> None:
    """The same with more behind the last element, and without the element that says where the data set begins."""
    whole, path = case(name).read_bytes(), tmp_path / "sibling.dcm"
    path.write_bytes(whole + bytes(17) if change == "17 zeros more" else whole[:132] + whole[144:])
    instance = instance_of(path, called_ae_title="TETRAVIEW", policy=Images())
    assert isinstance(instance, Instance), name
    assert instance.eligibility.decision is Decision.READ
    assert decoded(path).canonical.breast_mask.any()


@pytest.mark.parametrize("wrapped", [True, False], ids=["in a JP2 file", "in three fragments behind a wrong table"])
def test_a_jpeg_2000_frame_comes_in_other_clothes(tmp_path: Path, *, wrapped: bool) -> None:
    """A JP2 file around the codestream, or an offset table that fits nothing, changes no pixel."""
    dataset = dcmread(case("j2k_pad"))
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1).rstrip(b"\0")
    if wrapped:
        box = (8 + len(frame)).to_bytes(4, "big") + b"jp2c" + frame
        dataset.PixelData = encapsulate([b"\0\0\0\x0cjP  \r\n\x87\n" + box])
    else:
        dataset.PixelData = encapsulate([frame], fragments_per_frame=3, has_bot=True)[:8] + (7).to_bytes(4, "little")
        dataset.PixelData += encapsulate([frame], fragments_per_frame=3, has_bot=True)[12:]
    assert dataset.file_meta.TransferSyntaxUID in {uid.JPEG2000Lossless, uid.JPEG2000}
    dataset.save_as(tmp_path / "other.dcm")
    assert (decoded(tmp_path / "other.dcm").canonical.image == decoded(case("j2k_pad")).canonical.image).all()
