"""From stored values to presentation values, as a workstation would show them: brighter is denser."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import DigitalMammographyXRayImageStorageForProcessing

from tetraview.imaging.header import PixelHeader

#: Greys of an image without a VOI transformation that become 0 and 1.
_PERCENTILES = (1.0, 99.5)
_SAMPLES_PER_SIDE = 512

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class GreyScale:
    """The presentation value of every stored value an image could hold."""

    #: float32 [2 to the power of Bits Allocated], indexed by the stored bits; 0 is black and 1 is white on display.
    table: NDArray[np.float32]
    #: The transformations that were applied, in order.
    path: str

    def __call__(self, stored: NDArray[np.integer]) -> NDArray[np.float32]:
        """The presentation values of stored pixels."""
        return np.asarray(self.table[_bits(stored)], dtype=np.float32)


def grey_scale(stored: NDArray[np.integer], *, dataset: Dataset, header: PixelHeader) -> GreyScale:
    """Work out the grey-scale pipeline of an image (PS3.4 N.2.1).

    For Presentation images pass the Modality LUT, the first VOI LUT or window and the Presentation LUT Shape;
    For Processing images are brought to attenuation by their Pixel Intensity Relationship. Where no usable VOI
    transformation is given, the values are stretched linearly between two percentiles and not clipped.

    Args:
        stored: integer [rows, columns], the stored values.
        dataset: the image's attributes.
        header: its checked pixel description.
    """
    domain = _domain(header)
    padding = _padding(domain, dataset)
    counts = np.where(padding, 0, _counts(stored, size=domain.size))
    if _is_for_processing(dataset):
        values, path = _attenuation(domain, dataset=dataset, header=header)
        table = _stretched(values, counts)
    else:
        table, path = _displayed(domain, counts, dataset=dataset, header=header)
    if padding.any():
        table[padding] = table[counts > 0].min() if counts.any() else 0.0
        path += ", padding blacked out"
    return GreyScale(table=table.astype(np.float32), path=path)


def _bits(stored: NDArray[np.integer]) -> NDArray[np.unsignedinteger]:
    """The stored values' bits as an index."""
    return stored.view(np.dtype(f"u{stored.dtype.itemsize}"))


def _domain(header: PixelHeader) -> Values:
    """The stored value that each index of the table stands for."""
    kind = "i" if header.signed else "u"
    bits = np.arange(2**header.bits_allocated, dtype=f"u{header.bits_allocated // 8}")
    return bits.view(f"{kind}{header.bits_allocated // 8}").astype(np.float64)


def _counts(stored: NDArray[np.integer], *, size: int) -> NDArray[np.int64]:
    step = max(1, min(stored.shape) // _SAMPLES_PER_SIDE)
    return np.bincount(_bits(stored)[::step, ::step].ravel(), minlength=size)


def _padding(domain: Values, dataset: Dataset) -> NDArray[np.bool_]:
    """Where the stored value is padding (PS3.3 C.7.5.1.1.2): a value, or the range up to its limit."""
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int):
        return np.zeros(domain.shape, dtype=np.bool_)
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((value, limit if isinstance(limit, int) else value))
    return (domain >= low) & (domain <= high)


def _is_for_processing(dataset: Dataset) -> bool:
    intent = dataset.get("PresentationIntentType")
    return bool(intent == "FOR PROCESSING" or dataset.get("SOPClassUID") == _FOR_PROCESSING)


_FOR_PROCESSING = DigitalMammographyXRayImageStorageForProcessing


def _attenuation(domain: Values, *, dataset: Dataset, header: PixelHeader) -> tuple[Values, str]:
    """Attenuation from the stored values by Pixel Intensity Relationship and its Sign (PS3.3 C.8.11.3.1.2).

    Sign 1 means that lower values are less X-ray intensity, that is denser tissue. Where the Sign is absent,
    MONOCHROME1, which shows low values white, stands for 1.
    """
    relation = dataset.get("PixelIntensityRelationship") or "absent"
    sign = dataset.get("PixelIntensityRelationshipSign")
    if sign not in (1, -1):
        sign = 1 if dataset.PhotometricInterpretation == "MONOCHROME1" else -1
    path = f"for processing, {relation}, sign {sign:+d}"
    if relation != "LIN":
        return -sign * domain, path
    exposure = domain if sign == 1 else 2**header.bits_stored - 1 - domain
    return -np.log1p(np.maximum(exposure, 0.0)), path + ", logarithm"


def _displayed(
    domain: Values,
    counts: NDArray[np.int64],
    *,
    dataset: Dataset,
    header: PixelHeader,
) -> tuple[Values, str]:
    values, modality = _modality(domain, dataset=dataset, header=header)
    voi = _voi_lut(values, dataset=dataset, header=header) or _window(values, dataset)
    grey, name = voi or (_stretched(values, counts), "no usable VOI, percentiles")
    path = modality + name
    if dataset.PhotometricInterpretation == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE":
        return 1.0 - grey, path + ", inverted"
    return grey, path


def _modality(domain: Values, *, dataset: Dataset, header: PixelHeader) -> tuple[Values, str]:
    """Modality LUT or rescale (PS3.3 C.11.1)."""
    if dataset.get("ModalityLUTSequence"):
        entries, _ = _lookup(domain, item=dataset.ModalityLUTSequence[0], header=header)
        return entries, "modality LUT, "
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if slope is None or intercept is None or (slope, intercept) == (1, 0):
        return domain, ""
    return domain * float(slope) + float(intercept), "rescale, "


def _voi_lut(values: Values, *, dataset: Dataset, header: PixelHeader) -> tuple[Values, str] | None:
    """The first VOI LUT (PS3.3 C.11.2.1.1)."""
    if not dataset.get("VOILUTSequence"):
        return None
    entries, bits = _lookup(values, item=dataset.VOILUTSequence[0], header=header)
    return entries / (2.0**bits - 1), "VOI LUT"


def _lookup(values: Values, *, item: Dataset, header: PixelHeader) -> tuple[Values, int]:
    """LUT Data at the values and the bits per entry; values beyond either end take the end's entry."""
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    if header.signed and first >= 2**15:
        first -= 2**16
    data = item.LUTData
    if isinstance(data, bytes):
        data = np.frombuffer(data, dtype="u1" if len(data) == count else "<u2")
    entries = np.asarray(data, dtype=np.float64)[: count or 2**16]
    return entries[np.clip(np.rint(values) - first, 0, entries.size - 1).astype(np.intp)], bits


def _window(values: Values, dataset: Dataset) -> tuple[Values, str] | None:
    """The first window (PS3.3 C.11.2.1.2 and C.11.2.1.3), None where it is absent or impossible."""
    centre, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    function = dataset.get("VOILUTFunction") or "LINEAR"
    if centre is None or width is None or width < (1 if function == "LINEAR" else 1e-6):
        return None
    if function == "SIGMOID":
        # The standard's logistic function, written so that it cannot overflow.
        return 0.5 + 0.5 * np.tanh(2 * (values - centre) / width), "SIGMOID window"
    if function == "LINEAR":
        centre, width = centre - 0.5, max(width - 1, 1e-6)
    return np.clip((values - centre) / width + 0.5, 0.0, 1.0), f"{function} window"


def _first(value: object) -> float | None:
    """The first of one or several decimal strings."""
    if isinstance(value, (str, bytes)) or value is None:
        return None
    number = next(iter(value), None) if hasattr(value, "__iter__") else value
    return float(number) if isinstance(number, (int, float)) else None


def _stretched(values: Values, counts: NDArray[np.int64]) -> Values:
    """The values with two percentiles of the pixels at 0 and 1."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(counts[order]) / max(int(counts.sum()), 1)
    ranks = np.minimum(np.searchsorted(share, np.divide(_PERCENTILES, 100)), values.size - 1)
    low, high = (float(value) for value in values[order[ranks]])
    return (values - low) / max(high - low, 1e-6)
