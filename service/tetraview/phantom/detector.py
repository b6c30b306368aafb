"""From attenuation to stored pixels: objects at their contrast, noise, and a vendor's processing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.domain.view import Laterality, View
from tetraview.phantom.anatomy import Floats, Projection
from tetraview.phantom.recipe import TRAIN_SEEDS, VALIDATION_SEEDS, PhantomRecipe, Stream, random_stream
from tetraview.phantom.shape import Drawing
from tetraview.phantom.strands import strands
from tetraview.phantom.tissue import DENSE_PER_MM, FAT_PER_MM, GRID_MM, Tissue, fine_texture, skin_depth
from tetraview.phantom.tone import (
    DIGITAL_BRIGHT,
    DIGITAL_DARK,
    FILM_BRIGHT,
    FILM_DARK,
    MOST_TURN,
    Tone,
    toned,
)

_REFERENCE_PIXEL_MM = 0.28
_SD_FLOOR = 0.025
_LEAST_SHARE = 0.35
_MONOCHROME1_SHARE = 0.005
_MARKER_MM = 9.0
#: Share of the full thickness 6 mm from the edge of a breast; thicker parts have the greys of its tone.
_INNER = 0.7
#: Least log attenuation between fat and dense tissue, so that a fatty breast does not look dense.
_LEAST_WIDTH = 0.45


@dataclass(frozen=True, kw_only=True)
class Style:
    """How one vendor's detector and processing make an image look."""

    name: str
    #: Quanta per 0.28 mm pixel behind tissue of the breast's full thickness, all fat.
    quanta: float
    #: Standard deviation of the detector's blur, pixels.
    blur_px: float
    #: Share of the thickness fall-off at the skin that equalisation leaves.
    rim: float
    #: The greys its images have.
    tone: Tone
    #: Stored value of air, share of full scale.
    air: float


#: Two digital detectors and two films; the last style is kept from training and validation seeds.
STYLES = (
    Style(name="auster", quanta=4000, blur_px=0.6, rim=0.05, tone=DIGITAL_DARK, air=0.0),
    Style(name="boreas", quanta=3000, blur_px=0.5, rim=0.10, tone=DIGITAL_BRIGHT, air=0.01),
    Style(name="eurus", quanta=2000, blur_px=0.9, rim=0.22, tone=FILM_DARK, air=0.06),
    Style(name="zephyr", quanta=2500, blur_px=0.8, rim=0.30, tone=FILM_BRIGHT, air=0.04),
)


#: Name of the style that only test seeds show.
HELD_OUT_STYLE = STYLES[-1].name


@dataclass(frozen=True, kw_only=True)
class Processing:
    """Properties that all images of an exam share."""

    style: Style
    #: Where in its style's family of tones the exam lies, standard deviations.
    turn: float
    #: Stored as MONOCHROME1: the smallest value is white.
    inverted: bool


def sample_processing(seed: int) -> Processing:
    """The vendor of an exam."""
    rng = random_stream(seed, Stream.STYLE)
    seen = len(STYLES) - 1 if seed in TRAIN_SEEDS or seed in VALIDATION_SEEDS else len(STYLES)
    style, inverted = STYLES[int(rng.integers(seen))], bool(rng.uniform() < _MONOCHROME1_SHARE)
    return Processing(style=style, turn=float(np.clip(rng.normal(), -MOST_TURN, MOST_TURN)), inverted=inverted)


def style_of(seed: int) -> str:
    """Name of the vendor style of an exam, the same in every recipe, without rendering it."""
    return sample_processing(seed).style.name


@dataclass(frozen=True, kw_only=True, eq=False)
class Exposure:
    """One view on the detector's matrix, chest wall at column 0."""

    #: float32 [rows, columns], log attenuation of dense tissue.
    signal: Floats
    #: float32 [rows, columns], compressed thickness over full thickness, in [0, 1].
    thickness: Floats
    #: float32 [rows, columns], 1 in the breast, 0 in air, soft at the skin.
    breast: Floats


def expose(seed: int, tissue: Tissue, projection: Projection, *, index: int, recipe: PhantomRecipe) -> Exposure:
    """Bring the tissue to the detector's matrix."""
    shape, size = (recipe.rows, recipe.columns), (recipe.columns, recipe.rows)
    if recipe.spacing_mm == GRID_MM:
        dense, depth, thickness = tissue.dense_mm, tissue.depth_mm, tissue.thickness_mm
    else:
        dense = fine_texture(random_stream(seed, Stream.TISSUE, index, 1), tissue, shape=shape)
        depth = skin_depth(projection, shape=shape, spacing_mm=recipe.spacing_mm)
        thickness = np.asarray(cv2.resize(tissue.thickness_mm, size), dtype=np.float32)
    rng = random_stream(seed, Stream.STRANDS, index)
    dense = dense + strands(rng, projection, shape=shape, spacing_mm=recipe.spacing_mm) * (depth > 0)
    breast = np.clip(depth / 0.5, 0, 1)
    return Exposure(
        signal=DENSE_PER_MM * dense, thickness=thickness / np.float32(projection.thickness_mm), breast=breast
    )


def insert(signal: Floats, drawing: Drawing, *, cnr: float, breast: Floats) -> None:
    """Add an object to the signal, in place, as thick as its contrast-to-noise ratio asks for.

    The ratio is (mean in the core - mean in the ring) / standard deviation in the ring, so that an object is as
    visible in dense as in fatty surroundings.
    """
    window = drawing.window()
    background, ring = signal[window], drawing.ring & (breast[window] > 0)
    if not ring.any() or not drawing.core.any():
        return
    around = background[ring]
    wanted = cnr * math.hypot(float(around.std()), _SD_FLOOR)
    present = float(background[drawing.core].mean() - around.mean())
    gain = float(drawing.profile[drawing.core].mean() - drawing.profile[ring].mean())
    # Where the background happens to be bright already, the object must still add a share of its own.
    added = max(wanted - present, _LEAST_SHARE * wanted)
    background += np.float32(added / max(gain, 0.1)) * drawing.profile * breast[window]


def develop(
    exposure: Exposure,
    *,
    rng: np.random.Generator,
    processing: Processing,
    projection: Projection,
    recipe: PhantomRecipe,
) -> NDArray[np.uint16]:
    """Blur, add quantum noise, equalise the thickness and bring the greys to the style's; chest wall at column 0.

    Noise is Gaussian with the variance of Poisson counts after -log: one over the number of quanta behind each pixel.
    """
    style, full = processing.style, FAT_PER_MM * projection.thickness_mm
    lost = np.float32(full) * (exposure.thickness - 1)
    signal = cv2.GaussianBlur(exposure.signal, (0, 0), style.blur_px)
    quanta = style.quanta * (recipe.spacing_mm / _REFERENCE_PIXEL_MM) ** 2
    spread = np.exp(0.5 * (signal + lost)) / np.float32(math.sqrt(quanta))
    noise = rng.standard_normal(signal.shape, dtype=np.float32) * spread
    shown = signal + noise + style.rim * lost
    inner = shown[::4, ::4][exposure.thickness[::4, ::4] > _INNER]
    level = toned(shown, inner, tone=style.tone, turn=processing.turn, least_width=_LEAST_WIDTH)
    return _stored(level, processing=processing, bits=recipe.bits_stored, exposure=exposure)


def _stored(level: Floats, *, processing: Processing, bits: int, exposure: Exposure) -> NDArray[np.uint16]:
    top, air = 2**bits - 1, processing.style.air
    level = air + (0.97 - air) * level
    level = air + (level - air) * exposure.breast
    return np.asarray(np.rint(top * (1 - level if processing.inverted else level)), dtype=np.uint16)


def add_marker(
    pixels: NDArray[np.uint16],
    view: View,
    *,
    breast: NDArray[np.bool_],
    spacing_mm: float,
    level: int,
) -> None:
    """Write a view's lead marker into the air of the upper outer corner, in place, where there is room for it."""
    height = _MARKER_MM / spacing_mm
    scale, stroke = height / 22, max(round(height / 8), 1)
    (width, _), _ = cv2.getTextSize(view.value, cv2.FONT_HERSHEY_SIMPLEX, scale, stroke)
    inset, foot = round(4 / spacing_mm), round(2 * height)
    left = inset if view.laterality is Laterality.RIGHT else pixels.shape[1] - width - inset
    window = np.s_[: foot + inset, max(left - inset, 0) : left + width + inset]
    if breast[window].any():
        return
    lead = np.zeros(breast[window].shape, dtype=np.uint8)
    at = (left - max(left - inset, 0), foot)
    cv2.putText(lead, view.value, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 1, stroke)
    pixels[window][lead > 0] = level
