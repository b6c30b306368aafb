"""Decoding in disposable processes: every transfer syntax, every refusal, and every death of a decoder."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate, get_frame
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info

from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Box
from tetraview.domain.patch import PatchShape
from tetraview.domain.view import View
from tetraview.errors import ImageUnreadable, StorageUnavailable
from tetraview.imaging import decode
from tetraview.imaging.decode import DecodedView, DecodeLimits, cut_patches, decode_view, decode_views
from tetraview.imaging.decoded import pack_facts, unpack_patches

LIMITS = DecodeLimits()
LOSSLESS = (uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless)
#: Options of DCMTK's dcmcjpeg for the JPEG processes, and how far a presentation value may be off.
DCMTK = {
    uid.JPEGLosslessSV1: ("+e1", 0),
    uid.JPEGLossless: ("+el", 0),
    uid.JPEGExtended12Bit: ("+ee", 6),
}


def read(path: Path, frame: Frame, *, limits: DecodeLimits = LIMITS) -> DecodedView:
    return decode_view(path, view=View.L_CC, frame=frame, limits=limits)


def refusal(path: Path, frame: Frame, *, limits: DecodeLimits = LIMITS) -> str:
    """The reason for which a file is not decoded, given in time."""
    started = time.monotonic()
    with pytest.raises(ImageUnreadable) as caught:
        read(path, frame, limits=limits)
    assert time.monotonic() - started < 60
    assert "ZZCANARY" not in str(caught.value)
    return str(caught.value)


def test_a_view_is_decoded(make_image: Any, save: Any, frame: Frame) -> None:
    """A plain image gives a canonical view with the breast at x = 0, a preview of its own size and the grey path."""
    view = read(save(make_image(WindowCenter=2000, WindowWidth=4000)), frame)
    assert view.canonical.image.shape == (192, 96)
    assert view.canonical.breast_mask[96, 0]
    assert view.canonical.warnings == ()
    assert view.canonical.native_shape == view.preview.shape == (320, 240)
    assert view.preview_scale == 1.0
    assert view.grey_path == "LINEAR window"
    assert view.preview[150, 5] > 150 > view.preview[310, 230]
    assert 0 < view.seconds < 5


def test_a_large_image_has_a_small_preview(
    make_image: Any, save: Any, breast: NDArray[np.uint16], frame: Frame
) -> None:
    """The preview's longer side is at most 1280 pixels and its scale says how many per stored pixel."""
    fine = make_image(np.kron(breast, np.ones((5, 5), np.uint16)), ImagerPixelSpacing=[0.08, 0.08])
    view = read(save(fine), frame)
    assert view.preview.shape == (1280, 960)
    assert view.preview_scale == pytest.approx(1280 / 1600)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.uint8])
def test_lossless_syntaxes_give_the_same_pixels(
    *, syntax: uid.UID, dtype: type, make_image: Any, save: Any, breast: NDArray[np.uint16], frame: Frame
) -> None:
    """RLE, JPEG-LS and JPEG 2000 lossless give, bit for bit, what the uncompressed image gives."""
    pixels = (
        breast >> 4 if dtype is np.uint8 else breast.astype(np.int32) - (1500 if dtype is np.int16 else 0)
    ).astype(dtype)
    plain, packed = make_image(pixels), make_image(pixels)
    packed.compress(syntax, generate_instance_uid=False)
    expected, found = read(save(plain), frame), read(save(packed), frame)
    np.testing.assert_array_equal(found.canonical.image, expected.canonical.image)
    np.testing.assert_array_equal(found.preview, expected.preview)


@pytest.mark.skipif(shutil.which("dcmcjpeg") is None, reason="needs DCMTK's dcmcjpeg")
@pytest.mark.parametrize("syntax", DCMTK, ids=lambda syntax: syntax.name)
def test_jpeg_processes_give_the_same_pixels(
    syntax: uid.UID, make_image: Any, save: Any, frame: Frame, tmp_path: Path
) -> None:
    """JPEG lossless as another toolkit writes it gives the uncompressed pixels, 12-bit lossy JPEG nearly so."""
    option, tolerance = DCMTK[syntax]
    plain, packed = save(make_image(WindowCenter=2000, WindowWidth=4000)), tmp_path / "packed.dcm"
    subprocess.run(["dcmcjpeg", option, plain, packed], check=True)
    assert dcmread(packed).file_meta.TransferSyntaxUID == syntax
    difference = read(packed, frame).preview.astype(int) - read(plain, frame).preview
    assert np.abs(difference).max() <= tolerance


@pytest.mark.skipif(shutil.which("dcmcjpeg") is None, reason="needs DCMTK's dcmcjpeg")
def test_eight_bit_baseline_jpeg_is_decoded(
    make_image: Any, save: Any, breast: NDArray[np.uint16], frame: Frame, tmp_path: Path
) -> None:
    """Baseline JPEG, the only 8-bit lossy process, is off by less than one grey in 256 on average."""
    pixels = (breast >> 4).astype(np.uint8)
    plain, packed = save(make_image(pixels, WindowCenter=128, WindowWidth=256)), tmp_path / "packed.dcm"
    subprocess.run(["dcmcjpeg", "+eb", plain, packed], check=True)
    assert dcmread(packed).file_meta.TransferSyntaxUID == uid.JPEGBaseline8Bit
    difference = read(packed, frame).preview.astype(int) - read(plain, frame).preview
    assert np.abs(difference).mean() < 1


def test_overlay_bits_are_removed(make_image: Any, save: Any, breast: NDArray[np.uint16], frame: Frame) -> None:
    """Bits above Bits Stored, where old images keep overlays, do not reach the pixels."""
    overlay = np.where(np.indices(breast.shape)[0] % 2, 0x8000, 0x5000).astype(np.uint16)
    expected, found = read(save(make_image()), frame), read(save(make_image(breast | overlay)), frame)
    np.testing.assert_array_equal(found.preview, expected.preview)


def test_views_are_decoded_side_by_side(make_image: Any, save: Any, frame: Frame, tmp_path: Path) -> None:
    """One unreadable view is reported as such and the others are decoded."""
    good = save(make_image())
    found = decode_views(
        {View.L_CC: good, View.R_CC: tmp_path / "missing.dcm", View.L_MLO: good}, frame=frame, limits=LIMITS
    )
    assert list(found) == [View.L_CC, View.R_CC, View.L_MLO]
    assert isinstance(found[View.L_CC], DecodedView)
    assert isinstance(found[View.L_MLO], DecodedView)
    assert str(found[View.R_CC]) == "The image's file is missing from the spool."


def test_a_file_that_cannot_be_opened_may_be_tried_again(frame: Frame, tmp_path: Path) -> None:
    """A file system fault is the storage's, not the image's."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(StorageUnavailable):
        read(tmp_path / "loop", frame)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"Rows": None}, "Rows is missing or is not one whole number."),
        ({"Rows": 0}, "The image has no pixels: 0 rows by 240 columns."),
        (
            {"Rows": 65535, "Columns": 65535},
            "The image is too large: 65535 rows by 65535 columns exceed 100000000 pixels.",
        ),
        ({"NumberOfFrames": 2**31 - 1}, "Number of Frames is 2147483647; only single-frame images are read."),
        ({"SamplesPerPixel": 3}, "Samples per Pixel is 3; only greyscale images are read."),
        ({"PhotometricInterpretation": "RGB"}, "Photometric Interpretation is neither MONOCHROME1 nor MONOCHROME2."),
        ({"BitsAllocated": 32}, "Bits Allocated is 32; only 8 and 16 are read."),
        ({"BitsStored": 19}, "Bits Stored is 19, which does not fit Bits Allocated 16."),
        ({"BitsStored": 0}, "Bits Stored is 0, which does not fit Bits Allocated 16."),
        ({"HighBit": 15}, "High Bit is 15, which does not fit Bits Stored 12."),
        ({"ImagerPixelSpacing": None}, "The image has no pixel spacing; millimetres are not guessed."),
        ({"ImagerPixelSpacing": [0, 0.1]}, "ImagerPixelSpacing is not positive."),
        ({"PixelSpacing": [0.1, 0.1, 0.1]}, "PixelSpacing is not two numbers."),
        ({"PixelData": b""}, "The image has no pixel data."),
        ({"PixelData": b"\0\0"}, "The pixel data are truncated: 2 bytes where 153600 are needed."),
        ({"PixelData": bytes(153600)}, "The image is blank: every pixel has the same value."),
    ],
)
def test_an_impossible_header_is_refused(
    attributes: dict[str, Any], reason: str, make_image: Any, save: Any, frame: Frame
) -> None:
    """An image whose attributes are missing, contradictory or too large is refused with the attribute named."""
    assert refusal(save(make_image(**attributes)), frame) == reason


def test_calibrated_spacing_is_preferred(make_image: Any, save: Any, frame: Frame) -> None:
    """Pixel Spacing counts where both are given, because Imager Pixel Spacing is measured at the detector."""
    wide = Frame(height=192, width=96, spacing_mm=0.1)
    detector = read(save(make_image()), wide).canonical.spacing_mm
    assert read(save(make_image(PixelSpacing=[0.2, 0.2])), wide).canonical.spacing_mm == pytest.approx(
        detector / 2, rel=0.1
    )


def test_what_is_not_dicom_is_refused(frame: Frame, tmp_path: Path) -> None:
    """A file without the Part 10 magic is refused."""
    (tmp_path / "text").write_bytes(b"not an image" * 100)
    assert refusal(tmp_path / "text", frame) == "The file does not start as a DICOM file (Part 10)."


@pytest.mark.parametrize("syntax", [uid.DeflatedExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.MPEG2MPML])
def test_other_transfer_syntaxes_are_refused(syntax: uid.UID, make_image: Any, frame: Frame, tmp_path: Path) -> None:
    """Deflated, big endian and video files are refused by their meta information, before the data set is touched."""
    dataset = make_image()
    dataset.file_meta.TransferSyntaxUID = syntax
    meta = DicomBytesIO()
    meta.is_little_endian, meta.is_implicit_VR = True, False
    write_file_meta_info(meta, dataset.file_meta)
    (tmp_path / "other.dcm").write_bytes(bytes(128) + b"DICM" + meta.getvalue() + b"\xff" * 1000)
    assert refusal(tmp_path / "other.dcm", frame) == f"The transfer syntax is not read: {syntax.name}."


def jpeg(*, marker: int, rows: int, columns: int, precision: int = 12) -> bytes:
    """A frame header without an image behind it."""
    header = struct.pack(">2sBBHBHHB3s", b"\xff\xd8", 0xFF, marker, 11, precision, rows, columns, 1, b"\1\x11\0")
    scan = b"\xff\xda\0\x08\1\1\0\1\0\0" + bytes(100)
    return header + scan + b"\xff\xd9"


def jpeg_2000(*, rows: int, columns: int) -> bytes:
    """Main header and one empty tile part."""
    size = struct.pack(">HH8I H3B", 41, 0, columns, rows, 0, 0, columns, rows, 0, 0, 1, 11, 1, 1)
    coding = b"\xff\x52\0\x0c\0\0\0\1\0\5\4\4\0\1"
    quantisation = b"\xff\x5c\0\x13\x40" + bytes([0x48] * 16)
    tile = b"\xff\x90\0\x0a\0\0\0\0\0\x0e\0\1\xff\x93"
    return b"\xff\x4f\xff\x51" + size + coding + quantisation + tile + b"\xff\xd9"


BOMBS: dict[uid.UID, Callable[..., bytes]] = {
    uid.JPEGLosslessSV1: lambda **size: jpeg(marker=0xC3, **size),
    uid.JPEGExtended12Bit: lambda **size: jpeg(marker=0xC1, **size),
    uid.JPEGLSLossless: lambda **size: jpeg(marker=0xF7, **size),
    uid.JPEG2000Lossless: jpeg_2000,
    uid.RLELossless: lambda **_: struct.pack("<16I", 2, 64, 72, *[0] * 13) + b"\x81\0" * 8,
}


@pytest.fixture
def flat_memory() -> Iterator[None]:
    """The test must not grow this process by more than 32 MB."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    yield
    assert resident() - before < 32e6


@pytest.mark.parametrize("syntax", BOMBS, ids=lambda syntax: syntax.name)
def test_a_bomb_is_refused_by_its_header(
    syntax: uid.UID, make_image: Any, save: Any, frame: Frame, flat_memory: None
) -> None:
    """A few bytes that claim 40000 by 40000 pixels are refused by Rows and Columns."""
    image = make_image(Rows=40000, Columns=40000)
    image.PixelData = encapsulate([BOMBS[syntax](rows=40000, columns=40000)])
    image.file_meta.TransferSyntaxUID = syntax
    assert "too large" in refusal(save(image), frame)


@pytest.mark.parametrize("syntax", [syntax for syntax in BOMBS if syntax != uid.RLELossless], ids=lambda s: s.name)
def test_a_bomb_is_refused_by_its_codestream(
    syntax: uid.UID, make_image: Any, save: Any, frame: Frame, flat_memory: None
) -> None:
    """A codestream that claims another size than Rows and Columns is refused before a decoder sees it."""
    image = make_image()
    image.PixelData = encapsulate([BOMBS[syntax](rows=40000, columns=40000)])
    image.file_meta.TransferSyntaxUID = syntax
    reason = "The compressed image is 40000 by 40000 pixels, the header says 320 by 240."
    assert refusal(save(image), frame) == reason


@pytest.mark.parametrize("syntax", BOMBS, ids=lambda syntax: syntax.name)
def test_a_bomb_let_in_meets_the_memory_limit(
    syntax: uid.UID, make_image: Any, save: Any, frame: Frame, flat_memory: None
) -> None:
    """Even with the pixel cap lifted a 60000 by 60000 image ends in its own process, and this one does not grow."""
    image = make_image(Rows=60000, Columns=60000)
    image.PixelData = encapsulate([BOMBS[syntax](rows=60000, columns=60000)])
    image.file_meta.TransferSyntaxUID = syntax
    limits = DecodeLimits(max_pixels=2**32, cpu_seconds=3)
    assert refusal(save(image), frame, limits=limits) == "Decoding needs more than 2147 MB of memory."


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.name)
def test_truncated_pixels_are_refused(syntax: uid.UID, make_image: Any, save: Any, frame: Frame) -> None:
    """A compressed frame cut in half is refused, not decoded to half an image."""
    image = make_image()
    image.compress(syntax)
    whole = get_frame(image.PixelData, 0, number_of_frames=1)
    image.PixelData = encapsulate([whole[: len(whole) // 2]])
    assert refusal(save(image), frame)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.name)
def test_flipped_bytes_never_reach_the_service(syntax: uid.UID, make_image: Any, save: Any, frame: Frame) -> None:
    """Damaged codestreams end in a view or in a refusal, whatever they do to their own process."""
    image, random = make_image(), np.random.default_rng(3)
    image.compress(syntax)
    whole = save(image).read_bytes()
    start = whole.index(b"\xfe\xff\x00\xe0", whole.index(b"\xe0\x7f\x10\x00")) + 16
    path = save(image)
    for _ in range(25):
        damaged = bytearray(whole)
        for position in random.integers(start, len(whole) - 8, size=3):
            damaged[position] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        found = decode_views({View.L_CC: path}, frame=frame, limits=DecodeLimits(cpu_seconds=5))
        assert isinstance(found[View.L_CC], (DecodedView, ImageUnreadable))


@pytest.fixture
def slow(make_image: Any, save: Any) -> Path:
    """A file whose run lengths are all of one byte, which takes seconds to unpack."""
    side = 3072
    image = make_image(np.zeros((side, side), np.uint16), ImagerPixelSpacing=[0.08, 0.08])
    segment = bytes(2 * side * side)  # a literal of one byte, 0: two bytes of a segment for each of the image
    header = struct.pack("<16L", 2, 64, 64 + len(segment), *([0] * 13))
    image.PixelData = encapsulate([header + segment + segment])
    image["PixelData"].is_undefined_length = True
    image.file_meta.TransferSyntaxUID = uid.RLELossless
    return save(image)


def test_processor_time_is_limited(slow: Path, frame: Frame) -> None:
    """A file that takes more processor time than allowed is given up, and the reason says so."""
    reason = "Decoding was stopped after 1 s of processor time."
    assert refusal(slow, frame, limits=DecodeLimits(cpu_seconds=1)) == reason


def test_time_on_the_clock_is_limited(slow: Path, frame: Frame) -> None:
    """A file that takes longer than allowed is given up, and the reason says so."""
    reason = "Decoding was stopped after 0.2 s on the clock."
    assert refusal(slow, frame, limits=DecodeLimits(wall_seconds=0.2)) == reason


def test_memory_is_limited(make_image: Any, save: Any, breast: NDArray[np.uint16], frame: Frame) -> None:
    """An image that needs more address space than allowed is given up, and the reason says so."""
    path = save(make_image(np.kron(breast, np.ones((20, 20), np.uint16))))
    assert (
        refusal(path, frame, limits=DecodeLimits(memory_bytes=450_000_000))
        == "Decoding needs more than 450 MB of memory."
    )


def forker() -> int:
    """Process id of the process that forks decoders."""
    running = decode._sandbox()._forker
    assert running is not None
    return running._process.pid


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def eventually(condition: Callable[[], Any]) -> Any:
    """The condition's value once it is true, within ten seconds."""
    deadline = time.monotonic() + 10
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition never became true"
        threading.Event().wait(0.005)
    return value


@pytest.mark.parametrize("death", [signal.SIGABRT, signal.SIGSEGV, signal.SIGKILL])
def test_a_decoder_that_dies_costs_one_view(
    death: signal.Signals, slow: Path, make_image: Any, save: Any, frame: Frame
) -> None:
    """A decoder that aborts, crashes or is killed is reported with its signal, and the next image is decoded."""
    good = save(make_image())
    read(good, frame)
    before = forker()
    found: dict[View, Any] = {}
    thread = threading.Thread(target=lambda: found.update(decode_views({View.L_CC: slow}, frame=frame, limits=LIMITS)))
    thread.start()
    (decoder,) = eventually(lambda: children(before))
    os.kill(decoder, death)
    thread.join()
    assert str(found[View.L_CC]) == f"The decoder was killed by {death.name} while it read the image."
    assert isinstance(read(good, frame), DecodedView)
    assert forker() == before


def test_the_forking_process_is_replaced_when_it_dies(make_image: Any, save: Any, frame: Frame) -> None:
    """Killing the process that forks decoders costs nothing but its start."""
    path = save(make_image())
    read(path, frame)
    before = forker()
    os.kill(before, signal.SIGKILL)
    assert isinstance(read(path, frame), DecodedView)
    assert forker() != before


def test_nothing_stays_behind_when_the_service_dies(make_image: Any, save: Any) -> None:
    """The process that forks decoders ends by itself when the service is killed."""
    script = (
        "import os, sys; from pathlib import Path; from tetraview.domain.view import View;"
        "from tetraview.imaging import decode; from tetraview.imaging.canonical import Frame;"
        "decode.decode_view(Path(sys.argv[1]), view=View.L_CC, limits=decode.DecodeLimits(),"
        " frame=Frame(height=64, width=32, spacing_mm=0.5));"
        "print(decode._sandbox()._forker._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, save(make_image())], capture_output=True, text=True, check=False
    )
    assert ran.returncode == -signal.SIGKILL
    left = Path(f"/proc/{int(ran.stdout)}/cmdline")
    eventually(lambda: not left.exists() or b"tetraview.imaging.child" not in left.read_bytes())


def test_decoders_see_no_secrets(make_image: Any, save: Any, frame: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's environment, where deployments keep secrets, does not reach the decoding processes."""
    decode._sandbox().close()
    monkeypatch.setenv("TETRAVIEW_DATABASE_PASSWORD", "hush")
    read(save(make_image()), frame)
    assert b"hush" not in Path(f"/proc/{forker()}/environ").read_bytes()


def test_many_threads_share_the_decoders(make_image: Any, save: Any, frame: Frame) -> None:
    """Forty requests from ten threads are all answered, each with its own image."""
    images = [save(make_image(WindowCenter=2000 + n, WindowWidth=4000)) for n in range(4)]
    expected = [read(path, frame).preview for path in images]
    wrong: list[int] = []

    def work(n: int) -> None:
        for turn in range(4):
            index = (n + turn) % 4
            if not np.array_equal(read(images[index], frame).preview, expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif("TETRAVIEW_MALFORMED" not in os.environ, reason="needs TETRAVIEW_MALFORMED")
def test_malformed_files_are_survived(frame: Frame, tmp_path: Path, flat_memory: None) -> None:
    """Each file of a collection of malformed ones, given a spacing, is decoded or refused in time."""
    files = sorted(Path(os.environ["TETRAVIEW_MALFORMED"]).rglob("*.dcm"))
    assert files
    for source in files:
        path = tmp_path / "malformed.dcm"
        path.write_bytes(with_spacing(source.read_bytes()))
        started = time.monotonic()
        found = decode_views({View.L_CC: path}, frame=frame, limits=LIMITS)[View.L_CC]
        assert isinstance(found, (DecodedView, ImageUnreadable)), source.name
        assert time.monotonic() - started < 60, source.name


def with_spacing(whole: bytes) -> bytes:
    """The file with Imager Pixel Spacing put before its SOP Class UID."""
    before, class_uid, after = whole.partition(b"\x08\0\x16\0")
    vr = b"DS\x08\0" if after[:2].isalpha() else b"\x08\0\0\0"
    return before + b"\x18\0\x64\x11" + vr + b"0.1\\0.1 " + class_uid + after


SHAPE = PatchShape(size=24, margin=1.5, min_side_mm=10.0)


def cut(path: Path, *boxes: Box, limits: DecodeLimits = LIMITS) -> NDArray[np.float32]:
    return cut_patches({View.L_CC: path}, {View.L_CC: boxes}, shapes={"it": SHAPE}, limits=limits)[View.L_CC]["it"]


def test_patches_are_cut_from_the_upright_image(make_image: Any, save: Any, breast: NDArray[np.uint16]) -> None:
    """A patch shows the tissue around its box: the same from a compressed image and from a mirrored one."""
    plain, packed = make_image(), make_image()
    packed.compress(uid.JPEG2000Lossless, generate_instance_uid=False)
    boxes = Box(40, 100, 60, 120), Box(10, 200, 60, 230)
    patches = cut(save(plain), *boxes)
    assert patches.shape == (2, 24, 24)
    np.testing.assert_array_equal(cut(save(packed), *boxes), patches)
    mirrored = cut(save(make_image(breast[:, ::-1].copy())), *(Box(240 - b.x1, b.y0, 240 - b.x0, b.y1) for b in boxes))
    np.testing.assert_array_equal(mirrored, patches)
    assert patches.min() >= 0
    assert patches.max() > 0.5


def test_a_patch_beyond_the_image_is_black_there(make_image: Any, save: Any) -> None:
    """At the chest wall half of a patch lies outside the image and is zero."""
    (patch,) = cut(save(make_image()), Box(0, 140, 2, 142))
    assert not patch[:, :11].any()
    assert (patch[:, 13:] > 0).all()


def test_an_image_that_cannot_be_decoded_again_names_its_view(make_image: Any, save: Any) -> None:
    """A file that went missing or hit a limit between detection and cutting is a fault of that view, not of all."""
    path = save(make_image())
    path.unlink()
    with pytest.raises(ImageUnreadable, match=r"L-CC: its candidates cannot be cut out: .* missing from the spool"):
        cut(path, Box(0, 0, 9, 9))


def test_views_without_candidates_are_not_decoded(tmp_path: Path) -> None:
    """Without a box nothing is opened."""
    assert cut_patches({View.L_CC: tmp_path / "none"}, {View.L_CC: ()}, shapes={"it": SHAPE}, limits=LIMITS) == {}


def test_patches_of_several_shapes_come_of_one_decoding(make_image: Any, save: Any) -> None:
    """Each shape has the same patches as when it is requested alone, in any order of the names."""
    path, boxes = save(make_image()), (Box(40, 100, 60, 120), Box(10, 200, 60, 230))
    wide = PatchShape(size=7, margin=3.0, min_side_mm=20.0)
    shapes = {"wide": wide, "it": SHAPE, "as it": SHAPE}
    found = cut_patches({View.L_CC: path}, {View.L_CC: boxes}, shapes=shapes, limits=LIMITS)[View.L_CC]
    assert {name: patches.shape for name, patches in found.items()} == {
        "wide": (2, 7, 7),
        "it": (2, 24, 24),
        "as it": (2, 24, 24),
    }
    np.testing.assert_array_equal(found["it"], cut(path, *boxes))
    np.testing.assert_array_equal(found["as it"], found["it"])
    # Three times as wide as the middle part of the other patch, so its middle is that patch's mean.
    assert found["wide"][1, 3, 3] == pytest.approx(found["it"][1, 8:16, 8:16].mean(), abs=0.1)


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\0" * 4 * 17, np.full(18, 2.0, np.float32).tobytes()])
def test_patches_that_are_not_those_asked_for_are_refused(content: bytes) -> None:
    """An answer of another length, or with values that are no intensities, is refused."""
    with pytest.raises(ImageUnreadable, match="not a decoded image"):
        unpack_patches(pack_facts({}) + content, count=2, sizes={"it": 3})
