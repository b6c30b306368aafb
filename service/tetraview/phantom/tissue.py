"""The breast without objects, as a map of the x-ray attenuation along each ray."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from tetraview.phantom.anatomy import Anatomy, Floats, Projection
from tetraview.phantom.recipe import Stream, random_stream

#: Tissue is modelled on this grid and interpolated to finer detectors, so that all recipes show the same breast.
GRID_MM = 0.45
FAT_PER_MM = 0.055
DENSE_PER_MM = 0.045
_COARSE = 4
#: Below this frequency the power law flattens, cycles per millimetre.
_LONGEST_PER_MM = 0.02
_SKIN_MM = 1.75
_EDGE_SHARE = 0.45
_MOST_DENSE = 0.8
_DIFFUSE_MM = 1.5
#: Thickness of the gland's body beside that of its lobes, at most.
_DISC_MM = 14.0
#: How often an MLO view shows no axillary node, one, two or three.
_NODE_SHARES = (0.6, 0.22, 0.12, 0.06)
_BISECTIONS = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Tissue:
    """One view of one breast on the grid, chest wall at column 0."""

    #: float32 [h, w], compressed thickness, 0 outside the breast.
    thickness_mm: Floats
    #: float32 [h, w], thickness of dense tissue along each ray.
    dense_mm: Floats
    #: float32 [h, w], signed distance to the skin: positive inside, clipped to a few millimetres.
    depth_mm: Floats


def build_tissue(seed: int, anatomy: Anatomy, projection: Projection, *, shape: tuple[int, int]) -> Tissue:
    """Make the tissue of one view on a grid of ``GRID_MM``.

    Texture is a Gaussian field with power spectrum 1/f^beta, beta about 2.75 as measured in mammograms (Burgess), as
    strong as the tissue is dense; the septa between lobules are the ridges of a band-passed field. The gland is one
    disc behind the nipple with lobes in it. Structures thinner than the grid are drawn by ``strands``.
    """
    index = list(anatomy.projections).index(projection.view)
    rng = random_stream(seed, Stream.TISSUE, index)
    depth = skin_depth(projection, shape=shape, spacing_mm=GRID_MM)
    texture, ridges = _fields(rng, shape=shape)
    thickness = _thickness(depth, projection)
    gland = _gland_share(anatomy, projection, shape=shape, texture=texture, depth=depth)
    share = gland * (1 + 0.11 * texture) + 0.012 * texture + 0.05 * gland * ridges
    share += _pectoral_share(projection, share.shape, texture)
    share += _nodes(random_stream(seed, Stream.NODES, index), projection, shape=share.shape)
    skin = np.exp(-(((depth - 0.5 * _SKIN_MM) / (0.45 * _SKIN_MM)) ** 2))
    dense = thickness * share + 4.0 * skin
    return Tissue(thickness_mm=thickness, dense_mm=dense.astype(np.float32), depth_mm=depth)


def skin_depth(projection: Projection, *, shape: tuple[int, int], spacing_mm: float) -> Floats:
    """Signed distance to the outline of breast and nipple, millimetres, positive inside; float32 [rows, columns]."""
    y = ((np.arange(shape[0]) + 0.5) * spacing_mm).astype(np.float32)
    x = ((np.arange(shape[1]) + 0.5) * spacing_mm).astype(np.float32)
    inside = (x[None, :] < projection.outline(y)[:, None]).astype(np.uint8)
    if projection.nipple_radius_mm:
        middle = tuple(round(at / spacing_mm - 0.5) for at in projection.nipple)
        cv2.circle(inside, middle, round(projection.nipple_radius_mm / spacing_mm), 1, -1)
    within = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    beyond = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    return np.asarray((within - np.minimum(beyond, 8 / spacing_mm)) * spacing_mm, dtype=np.float32)


def _thickness(depth: Floats, projection: Projection) -> Floats:
    """Full between the paddles, rounded off towards the skin."""
    full = projection.thickness_mm
    short = np.clip(1 - depth / (_EDGE_SHARE * full), 0, 1)
    return np.asarray(full * np.sqrt(1 - short**2), dtype=np.float32)


def _fields(rng: np.random.Generator, *, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Texture of unit variance, and ridges in [0, 1], from one complex Fourier synthesis."""
    size = fft.next_fast_len(shape[0] + 32), fft.next_fast_len(shape[1] + 32)
    f = np.hypot(fft.fftfreq(size[0], GRID_MM)[:, None], fft.fftfreq(size[1], GRID_MM)[None, :]).astype(np.float32)
    beta = rng.normal(2.75, 0.25)
    noise = rng.standard_normal((2, *size), dtype=np.float32)
    spectrum = noise[0] + 1j * noise[1]
    power = np.maximum(f, 0.01) ** np.float32(-beta / 2) * (f > 0) * (f * f / (f * f + np.float32(_LONGEST_PER_MM**2)))
    texture = fft.ifft2(spectrum * power).real[: shape[0], : shape[1]]
    band = np.exp(-((np.log(np.maximum(f, 1e-3) / 0.09) / 0.7) ** 2), dtype=np.float32)
    ligaments = fft.ifft2(spectrum * band).imag[: shape[0], : shape[1]]
    ridges = np.exp(-((ligaments / (0.22 * ligaments.std())) ** 2))
    return (texture / texture.std()).astype(np.float32), ridges.astype(np.float32)


def _gland_share(
    anatomy: Anatomy, projection: Projection, *, shape: tuple[int, int], texture: Floats, depth: Floats
) -> Floats:
    """Share of dense tissue along each ray from the glandular ellipsoids, scaled to the breast's density."""
    clumps = _clumps(anatomy, projection, shape=shape)
    wander = np.asarray(cv2.GaussianBlur(texture, (0, 0), 3.0 / GRID_MM), dtype=np.float32)
    disc = _disc(anatomy, projection, shape=shape, wander=wander)
    rays = (clumps + disc + _DIFFUSE_MM) * np.exp(0.55 * wander) * np.clip((depth - 2) / 18, 0, 1) ** 2
    sparse = rays[::_COARSE, ::_COARSE][depth[::_COARSE, ::_COARSE] > 0]
    low, high = 1e-4, 1.0
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        mean = _MOST_DENSE * float(-np.expm1(-middle * sparse).mean())
        low, high = (middle, high) if mean < anatomy.dense_fraction else (low, middle)
    return np.asarray(-_MOST_DENSE * np.expm1(np.float32(-low) * rays), dtype=np.float32)


def _clumps(anatomy: Anatomy, projection: Projection, *, shape: tuple[int, int]) -> Floats:
    """Summed thickness of the ellipsoids, millimetres, drawn coarsely and interpolated."""
    glands = anatomy.glands[projection.view.laterality]
    rows, columns = (math.ceil(size / _COARSE) for size in shape)
    step = GRID_MM * _COARSE
    x, y = (np.arange(columns) + 0.5) * step, (np.arange(rows) + 0.5) * step
    cos, sin = math.cos(projection.angle), math.sin(projection.angle)
    up = glands[:, 1] * cos + glands[:, 2] * sin
    across = np.hypot(glands[:, 4] * cos, glands[:, 5] * sin)
    along = np.hypot(glands[:, 4] * sin, glands[:, 5] * cos)
    scale = projection.depth_mm / projection.breast_depth_mm
    u = ((x[None, :] - scale * glands[:, :1]) / glands[:, 3:4]).astype(np.float32)
    v = ((y[None, :] - projection.nipple_y_mm + up[:, None]) / across[:, None]).astype(np.float32)
    clumps = np.zeros((rows, columns), dtype=np.float32)
    for column, row, chord in zip(u**2, v**2, 2 * along, strict=True):
        hit_rows, hit_columns = np.flatnonzero(row < 1), np.flatnonzero(column < 1)
        if len(hit_rows) and len(hit_columns):
            window = np.s_[hit_rows[0] : hit_rows[-1] + 1, hit_columns[0] : hit_columns[-1] + 1]
            inside = np.maximum(1 - row[hit_rows, None] - column[None, hit_columns], 0)
            clumps[window] += np.float32(chord) * np.sqrt(inside)
    smooth = cv2.GaussianBlur(clumps, (0, 0), 2.5)
    return np.asarray(cv2.resize(smooth, shape[::-1], interpolation=cv2.INTER_CUBIC).clip(0), dtype=np.float32)


def _disc(anatomy: Anatomy, projection: Projection, *, shape: tuple[int, int], wander: Floats) -> Floats:
    """Thickness of the body of the gland, millimetres: a cone behind the nipple that is scalloped and ends in fat."""
    gland = anatomy.disc
    x = ((np.arange(shape[1]) + 0.5) * GRID_MM).astype(np.float32)
    y = ((np.arange(shape[0]) + 0.5) * GRID_MM).astype(np.float32)[:, None]
    behind = np.clip(1 - x / np.float32(projection.depth_mm), 0, 1)
    fullness = np.sqrt(behind) * np.clip(1 - (behind / gland.reach) ** 4, 0, None)
    half = sum(projection.half_widths_mm) / 2 * gland.width * fullness * (1 + 0.3 * wander)
    tail = gland.tail * (2.0 if projection.pectoral is not None else 0.6)
    axis = projection.nipple_y_mm - tail * projection.depth_mm * behind
    across = (y - axis) / np.maximum(half, 1.0)
    chord = np.sqrt(np.clip(1 - across**2, 0, None)) * np.minimum(half, _DISC_MM)
    return np.asarray(cv2.GaussianBlur(chord, (0, 0), 1.5 / GRID_MM), dtype=np.float32)


def _nodes(rng: np.random.Generator, projection: Projection, *, shape: tuple[int, int]) -> Floats | float:
    """Share of dense tissue of axillary nodes in an MLO view: beans on the muscle, their hilum fat."""
    if projection.pectoral is None:
        return 0.0
    share = np.zeros(shape, dtype=np.float32)
    x = ((np.arange(shape[1]) + 0.5) * GRID_MM).astype(np.float32)
    y = ((np.arange(shape[0]) + 0.5) * GRID_MM).astype(np.float32)[:, None]
    for _ in range(int(rng.choice(len(_NODE_SHARES), p=_NODE_SHARES))):
        centre = (
            rng.uniform(4, 0.9 * projection.pectoral.width_mm),
            rng.uniform(4, 0.55 * projection.pectoral.length_mm),
        )
        long, ratio, turn, hilum = rng.uniform((3.0, 0.45, 0.0, 0.3), (7.5, 0.8, math.pi, 0.6))
        dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
        along, across = dx * math.cos(turn) + dy * math.sin(turn), dy * math.cos(turn) - dx * math.sin(turn)
        bean = np.clip(1 - (along / long) ** 2 - (across / (ratio * long)) ** 2, 0, 1)
        fat = np.clip(1 - (along / (0.5 * long)) ** 2 - ((across / (ratio * long) - 0.4) / 0.5) ** 2, 0, 1)
        share += np.float32(0.3) * np.sqrt(bean) * (1 - np.float32(hilum) * np.sqrt(fat))
    return np.asarray(cv2.GaussianBlur(share, (0, 0), 1.2), dtype=np.float32)


def _pectoral_share(projection: Projection, shape: tuple[int, int], texture: Floats) -> Floats | float:
    """Muscle of an MLO view, with a soft edge and the fibres' texture."""
    if projection.pectoral is None:
        return 0.0
    y = ((np.arange(shape[0]) + 0.5) * GRID_MM).astype(np.float32)
    x = ((np.arange(shape[1]) + 0.5) * GRID_MM).astype(np.float32)
    inside = projection.pectoral.edge(y)[:, None] - x[None, :]
    # Fibres run along the muscle's edge.
    fibres = np.sin(inside * 1.9) * np.sin(inside * 0.29)
    return np.asarray(
        (0.5 + 0.03 * texture + 0.02 * fibres) / (1 + np.exp(-np.clip(inside / 0.6, -20, 20))), dtype=np.float32
    )


def fine_texture(rng: np.random.Generator, tissue: Tissue, *, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Dense tissue on a finer detector, millimetres: the grid interpolated, and texture too fine for the grid.

    Two octaves of band-passed white noise, at half the grid's step and a quarter, stand for the tail of the power law.
    """
    dense = cv2.resize(tissue.dense_mm, shape[::-1], interpolation=cv2.INTER_CUBIC)
    level = 0.25 + 0.06 * np.maximum(tissue.dense_mm, 0)
    for octave in (1, 2):
        size = tuple(min(2**octave * coarse, fine) for coarse, fine in zip(level.shape, shape, strict=True))
        noise = rng.standard_normal(size, dtype=np.float32)
        band = cv2.GaussianBlur(noise, (0, 0), 0.6) - cv2.GaussianBlur(noise, (0, 0), 1.6)
        band *= cv2.resize(level, size[::-1]) * np.float32(1.2 / 2.6**octave)
        dense = dense + cv2.resize(band, shape[::-1])
    return np.asarray(dense, dtype=np.float32)
