"""How a presentation state shows an image's greys: as the image itself asks for (PS3.4 N.2.1)."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue
from pydicom.valuerep import DSfloat

from tetraview.report.lenient import items_of, numbers_of, text_of, value_of

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_DESCRIPTOR_VALUES = 3


def grey_scale(dataset: Dataset) -> Dataset:
    """The Modality LUT, Softcopy VOI LUT and Softcopy Presentation LUT modules (PS3.3 C.11.1, C.11.8 and C.11.6).

    As when the image is read, a VOI LUT goes before windows, and unusable values are left out.

    Args:
        dataset: the image; none of its values is trusted.
    """
    shown = _rescale(dataset)
    voi = _voi_luts(dataset) or _windows(dataset)
    if voi:
        shown.SoftcopyVOILUTSequence = [voi]
    # A presentation state's own shape stands in for the Photometric Interpretation too.
    inverse = "MONOCHROME1" in text_of(dataset, "PhotometricInterpretation")
    inverse |= text_of(dataset, "PresentationLUTShape") == "INVERSE"
    shown.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
    return shown


def _rescale(dataset: Dataset) -> Dataset:
    shown = Dataset()
    slope, intercept = numbers_of(dataset, "RescaleSlope"), numbers_of(dataset, "RescaleIntercept")
    if len(slope) == len(intercept) == 1 and slope[0]:
        shown.RescaleSlope, shown.RescaleIntercept = map(_decimal, (slope[0], intercept[0]))
        shown.RescaleType = "US"
    return shown


def _windows(dataset: Dataset) -> Dataset | None:
    centres, widths = numbers_of(dataset, "WindowCenter"), numbers_of(dataset, "WindowWidth")
    function = text_of(dataset, "VOILUTFunction")
    least = 1.0 if function in ("", "LINEAR") else 1e-6
    if not centres or len(centres) != len(widths) or min(widths) < least:
        return None
    windows = Dataset()
    windows.WindowCenter, windows.WindowWidth = list(map(_decimal, centres)), list(map(_decimal, widths))
    if function in _FUNCTIONS:
        windows.VOILUTFunction = function
    return windows


def _decimal(number: float) -> DSfloat:
    return DSfloat(number, auto_format=True)


def _voi_luts(dataset: Dataset) -> Dataset | None:
    luts = [_lut(item) for item in items_of(dataset, "VOILUTSequence")]
    if not luts or None in luts:
        return None
    voi = Dataset()
    voi.VOILUTSequence = luts
    return voi


def _lut(item: Dataset) -> Dataset | None:
    """An item of VOI LUT Sequence (PS3.3 C.11.2.1.1); its words as bytes, of which every descriptor can be said."""
    descriptor, data = numbers_of(item, "LUTDescriptor"), value_of(item, "LUTData")
    if isinstance(data, (list, MultiValue)):
        data = b"".join(int(entry).to_bytes(2, "little") for entry in data)
    if len(descriptor) != _DESCRIPTOR_VALUES or not isinstance(data, bytes):
        return None
    count, first, bits = map(int, descriptor)
    entries = count or 2**16
    if len(data) not in (entries, entries + entries % 2, 2 * entries):
        return None
    lut = Dataset()
    lut.add(DataElement("LUTDescriptor", "SS" if first < 0 else "US", [count, first, bits]))
    lut.add(DataElement("LUTData", "OW", data))
    return lut
