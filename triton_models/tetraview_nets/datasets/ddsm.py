"""DDSM: 2,620 screening exams on film, digitised by three scanners, with outlines as chain codes.

M. Heath et al., The Digital Database for Screening Mammography, Proceedings of the Fifth International Workshop on
Digital Mammography, 2001.

Layout: one folder per case with ``A-0001-1.ics`` and, for each of four views, ``A_0001_1.LEFT_CC.LJPEG`` and, where
something was found, ``A_0001_1.LEFT_CC.OVERLAY``. The compressed images are in a format no current library reads: they
are expected to be converted, grey values untouched, to 16-bit ``A_0001_1.LEFT_CC.png`` or ``.tif`` (with or without
``.LJPEG`` inside the name), in the case's folder or one below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tetraview_nets.datasets.film import FilmPicture, Scanner, scanner_of
from tetraview_nets.datasets.grouping import FoundView, exams_of, view_of
from tetraview_nets.datasets.overlay import masses
from tetraview_nets.datasets.truth import (
    AssumedSpacing,
    Collection,
    DatasetUnusable,
    Lesion,
    Shape,
    Skipped,
    SourceView,
    TruthUnusable,
)

CITATION = "Heath et al., The Digital Database for Screening Mammography, IWDM 2000, 2001"
REMARKS = (
    "Outlines are drawn wide around a mass, and a mass of shape ARCHITECTURAL_DISTORTION counts, as DDSM files it.",
    "Abnormalities with the same number in both views of a breast are taken for the same mass.",
    "BENIGN_WITHOUT_CALLBACK counts as benign, UNPROVEN as unknown.",
    "Scanned film: the shipped weights have seen nothing like it.",
)
#: Endings of converted images, in order of preference.
SUFFIXES = (".png", ".LJPEG.png", ".tif", ".LJPEG.tif", ".tiff", ".LJPEG.tiff")
_MICRONS_PER_MM = 1000.0
_PATIENT_PARTS = 2


@dataclass(frozen=True, kw_only=True)
class IcsView:
    """Statements of a case file about one image."""

    shape: Shape
    #: Bits of a grey value as scanned.
    bits: int
    spacing_mm: float
    #: Whether something was found in it.
    overlay: bool


def read(root: Path, _spacing: AssumedSpacing | None = None) -> Collection:
    """All cases below a folder; every case file states the resolution of its scanner, so no spacing is assumed.

    Args:
        root: a folder with cases, at any depth.

    Raises:
        DatasetUnusable: no case file is there.
    """
    paths = sorted(root.rglob("*.ics"))
    if not paths:
        raise DatasetUnusable(f"{root} is not DDSM: it holds no case file (*.ics)")
    cases = {path.stem: path for path in reversed(paths)}
    found: list[FoundView] = []
    skipped = [
        Skipped(where=str(path.relative_to(root)), reason="A case of this name was read from another folder.")
        for path in paths
        if cases[path.stem] != path
    ]
    for case in cases.values():
        for name, line, scanner in _images(case, skipped):
            try:
                found.append(_found(case, name, line, scanner))
            except TruthUnusable as error:
                skipped.append(Skipped(where=f"{case.stem} {name}", reason=str(error)))
    return Collection(name="ddsm", citation=CITATION, remarks=REMARKS, exams=exams_of(found), skipped=tuple(skipped))


def _images(case: Path, skipped: list[Skipped]) -> list[tuple[str, list[str], Scanner]]:
    """Name, words and scanner of every image that a case file lists."""
    lines = [line.split() for line in case.read_text(encoding="ascii", errors="replace").splitlines()]
    words = {line[0]: line for line in lines if line}
    try:
        scanner = scanner_of(institution=case.stem[:1], digitizer=" ".join(words.get("DIGITIZER", [])[1:]))
    except TruthUnusable as error:
        skipped.append(Skipped(where=case.name, reason=str(error)))
        return []
    listed = [(name, line, scanner) for name, line in words.items() if "LINES" in line]
    if not listed:
        skipped.append(Skipped(where=case.name, reason="The case file lists no images."))
    return listed


def _found(case: Path, name: str, line: list[str], scanner: Scanner) -> FoundView:
    slot = view_of(*name.partition("_")[::2])
    facts = _facts(line)
    stem = f"{case.stem.replace('-', '_')}.{name}"
    picture = FilmPicture(
        path=_converted(case.parent, stem),
        scanner=scanner,
        shape=facts.shape,
        bits=facts.bits,
        spacing_mm=facts.spacing_mm,
    )
    lesions = _lesions(case.parent / f"{stem}.OVERLAY") if facts.overlay else ()
    patient = "-".join(case.stem.split("-")[:_PATIENT_PARTS])
    view = SourceView(view=slot, name=stem, picture=picture, lesions=lesions)
    return FoundView(patient=patient, exam=case.stem, view=view)


def _facts(line: list[str]) -> IcsView:
    """``NAME LINES n PIXELS_PER_LINE n BITS_PER_PIXEL n RESOLUTION micrometres OVERLAY|NON_OVERLAY``."""
    values = dict(zip(line[1::2], line[2::2], strict=False))
    try:
        facts = IcsView(
            shape=(int(values["LINES"]), int(values["PIXELS_PER_LINE"])),
            bits=int(values["BITS_PER_PIXEL"]),
            spacing_mm=float(values["RESOLUTION"]) / _MICRONS_PER_MM,
            overlay=line[-1] == "OVERLAY",
        )
    except (KeyError, ValueError):
        facts = None
    if facts is None or not facts.spacing_mm > 0:
        raise TruthUnusable("The case file does not state size, bits and resolution of the image.")
    return facts


def _converted(folder: Path, stem: str) -> Path:
    for place in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        for suffix in SUFFIXES:
            if (path := place / f"{stem}{suffix}").is_file():
                return path
    raise TruthUnusable("There is no converted image: convert the LJPEG file, grey values untouched, to 16-bit PNG.")


def _lesions(path: Path) -> tuple[Lesion, ...]:
    if not path.is_file():
        raise TruthUnusable(f"{path.name} with the findings is missing.")
    return masses(path.read_text(encoding="ascii", errors="replace"))
