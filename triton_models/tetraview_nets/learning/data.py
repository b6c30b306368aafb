"""Training batches of networks that read views, drawn from exams.

Every batch is a function of seed, network and step alone, so a run that is killed goes on with the batches it would
have seen. Views with a mass are drawn more often than they occur: half of the exams have none. A view that is not there
is never drawn as the main one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tetraview.domain.view import View
from tetraview_nets.learning.augment import ExamChange, ViewSample, augmented, spread_of
from tetraview_nets.learning.cache import BREAST, HALF, IGNORED, MASS, VIEWS, CanonicalExam

#: Share of drawn views that are sure to show a mass.
MASS_SHARE = 0.6
#: How often the ipsilateral view is hidden, so that a single view is in distribution.
AUX_DROPPED = 0.15
#: How often nipple geometry is hidden, so that an unreliable nipple is in distribution.
GEOMETRY_DROPPED = 0.1
#: Standard deviation of the error put on true nipples, millimetres.
NIPPLE_JITTER_MM = 3.0


class Spot(NamedTuple):
    """One view of one exam of a set."""

    exam: int
    view: int


def companion(view: int, *, ipsilateral: bool) -> int:
    """The index of the other projection of the breast, or of the same projection of the other breast."""
    found: View = VIEWS[view].ipsilateral if ipsilateral else VIEWS[view].contralateral
    return VIEWS.index(found)


def with_companion(exam: CanonicalExam, *, ipsilateral: bool) -> NDArray[np.bool_]:
    """Which views of an exam have their companion, and a known nipple in both: bool [4]."""
    usable = exam.present & exam.nipple_known
    return np.asarray(usable & usable[[companion(view, ipsilateral=ipsilateral) for view in range(len(VIEWS))]])


def other(index: int, *, ipsilateral: bool) -> int:
    """The index of a view's companion where all views of all exams follow each other."""
    exam, view = divmod(index, len(VIEWS))
    return exam * len(VIEWS) + companion(view, ipsilateral=ipsilateral)


def reduced(exam: CanonicalExam, factor: int) -> CanonicalExam:
    """An exam with pixels averaged over blocks of ``factor`` by ``factor``; masks keep blocks that are over half full.

    Raises:
        ValueError: the blocks do not fill the image.
    """
    if factor == 1:
        return exam
    rows, columns = exam.images.shape[1:]
    if rows % factor or columns % factor:
        raise ValueError(f"blocks of {factor} pixels do not fill images of {rows} x {columns}")
    size = columns // factor, rows // factor
    masks = np.zeros((len(VIEWS), rows // factor, columns // factor), dtype=np.uint8)
    for bit in (BREAST, MASS, IGNORED):
        part = _averaged((exam.masks & bit > 0).astype(np.float32), size)
        masks |= np.where(part > HALF, bit, 0).astype(np.uint8)
    return replace(
        exam,
        images=np.rint(_averaged(exam.images.astype(np.float32), size)).astype(np.uint8),
        masks=masks,
        spacing_mm=exam.spacing_mm * factor,
        nipples=(exam.nipples / [factor, factor, 1]).astype(np.float32),
        boxes=(exam.boxes / factor).astype(np.float32),
    )


def _averaged(planes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes]).astype(np.float32)


#: Longer sides of masses, millimetres, that part them into sizes drawn equally often.
SIZES_MM = (10.0, 20.0)


class Draw:
    """Random views of a set of exams: equally often of each source or by given shares, masses of each size alike."""

    def __init__(
        self,
        exams: Sequence[CanonicalExam],
        *,
        shares: Mapping[str, float] | None = None,
        usable: Callable[[CanonicalExam], NDArray[np.bool_]] | None = None,
    ) -> None:
        """Sort views by source, and those with a mass by its size.

        Args:
            exams: those to draw from.
            shares: how often each source is drawn, by ``CanonicalExam.source``; None for all alike.
            usable: which views of an exam are drawn, bool [4]; None for all that are there.

        Raises:
            ValueError: a source of the shares has no exams.
        """
        self.exams = exams
        self._views: dict[str, list[Spot]] = defaultdict(list)
        self._with_mass: dict[str, dict[int, list[Spot]]] = defaultdict(lambda: defaultdict(list))
        for i, exam in enumerate(exams):
            drawn = exam.present if usable is None else exam.present & usable(exam)
            if not drawn.any():
                continue
            self._views[exam.source] += [Spot(i, int(view)) for view in np.flatnonzero(drawn)]
            for box in np.flatnonzero((exam.kinds == 0) & drawn[exam.box_views]):
                view = int(exam.box_views[box])
                self._with_mass[exam.source][_size(exam, int(box))].append(Spot(i, view))
        weights = shares or dict.fromkeys(self._views, 1.0)
        missing = sorted(name for name, share in weights.items() if share > 0 and name not in self._views)
        if missing:
            raise ValueError(f"no exams of {', '.join(missing)}; there are exams of {', '.join(sorted(self._views))}")
        self._sources = sorted(name for name, share in weights.items() if share > 0)
        self._shares = np.array([float(weights[name]) for name in self._sources])
        self._shares /= self._shares.sum()

    def spot(self, generator: np.random.Generator) -> Spot:
        """One view that is there, with a mass in ``MASS_SHARE`` of the draws at least."""
        source = self._sources[generator.choice(len(self._sources), p=self._shares)]
        sizes = self._with_mass.get(source)
        if sizes and generator.random() < MASS_SHARE:
            spots = sizes[sorted(sizes)[generator.integers(len(sizes))]]
            return spots[generator.integers(len(spots))]
        return self._views[source][generator.integers(len(self._views[source]))]

    def sample(self, generator: np.random.Generator) -> ViewSample:
        """One changed view."""
        exam, view = self.spot(generator)
        change = ExamChange.draw(generator, spread=spread_of(self.exams[exam]))
        return augmented(self.exams[exam], view, change, generator)

    def pair(self, generator: np.random.Generator, *, ipsilateral: bool) -> tuple[ViewSample, ViewSample]:
        """A view and its companion, changed alike; the companion may not be there, which its ``present`` says."""
        exam, view = self.spot(generator)
        change = ExamChange.draw(generator, spread=spread_of(self.exams[exam]))
        other = companion(view, ipsilateral=ipsilateral)
        main, aux = (augmented(self.exams[exam], which, change, generator) for which in (view, other))
        return main, aux


def _size(exam: CanonicalExam, box: int) -> int:
    """The size of a mass as an index: how many of ``SIZES_MM`` its longer side exceeds."""
    x0, y0, x1, y1 = exam.boxes[box]
    return int(np.searchsorted(SIZES_MM, max(x1 - x0, y1 - y0) * exam.spacing_mm[exam.box_views[box]]))


@dataclass(frozen=True, kw_only=True, eq=False)
class Views:
    """A batch of views as tensors."""

    #: float32 [B, 1, H, W] in [0, 1].
    image: Tensor
    #: bool [B, 1, H, W].
    breast: Tensor
    #: bool [B, 1, H, W], inside a mass.
    mass: Tensor
    #: One float32 [K, 4] per view, masses in canonical pixels.
    boxes: list[Tensor]
    #: One float32 [M, 4] per view, objects that look like masses and are none.
    mimics: list[Tensor]
    #: float32 [B, 2], canonical pixels.
    nipple: Tensor
    #: float32 [B], 1 where the nipple is in profile.
    in_profile: Tensor
    #: float32 [B], millimetres per pixel.
    spacing: Tensor
    #: bool [B], whether there is such a view.
    present: Tensor
    #: bool [B], whether anybody said where its nipple is.
    nipple_known: Tensor
    #: bool [B, 1, H, W], what counts neither as a mass nor as none.
    ignored: Tensor


def collate(samples: Sequence[ViewSample], *, device: torch.device) -> Views:
    """Views as one batch on a device."""

    def planes(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(sample, name) for sample in samples])[:, None]).to(device)

    nipples = torch.from_numpy(np.stack([sample.nipple for sample in samples])).to(device)
    return Views(
        image=planes("image"),
        breast=planes("breast"),
        mass=planes("mass"),
        boxes=[torch.from_numpy(sample.boxes).to(device) for sample in samples],
        mimics=[torch.from_numpy(sample.mimics).to(device) for sample in samples],
        nipple=nipples[:, :2],
        in_profile=nipples[:, 2],
        spacing=torch.tensor([sample.spacing_mm for sample in samples], device=device),
        present=torch.tensor([sample.present for sample in samples], device=device),
        nipple_known=torch.tensor([sample.nipple_known for sample in samples], device=device),
        ignored=torch.from_numpy(np.stack([_ignored(sample) for sample in samples])[:, None]).to(device),
    )


def _ignored(sample: ViewSample) -> NDArray[np.bool_]:
    return np.zeros(sample.mass.shape, dtype=np.bool_) if sample.ignored is None else sample.ignored


def mimics(views: Views) -> Tensor:
    """Where views show objects that look like masses and are none, as the ellipses in its boxes: bool [B, 1, H, W]."""
    rows, columns = (torch.arange(size, device=views.mass.device) + 0.5 for size in views.mass.shape[-2:])
    near = torch.zeros_like(views.mass)
    for view, boxes in enumerate(views.mimics):
        for x0, y0, x1, y1 in boxes:
            across, down = (2 * columns - x0 - x1) / (x1 - x0), (2 * rows - y0 - y1) / (y1 - y0)
            near[view, 0] |= across[None] ** 2 + down[:, None] ** 2 <= 1
    return near & ~views.mass


def jittered(views: Views, generator: np.random.Generator) -> Tensor:
    """Nipples with the error a nipple network makes: float32 [B, 2]."""
    error: NDArray[np.float32] = generator.normal(0, NIPPLE_JITTER_MM, tuple(views.nipple.shape)).astype(np.float32)
    return views.nipple + torch.from_numpy(error).to(views.nipple.device) / views.spacing[:, None]


def present(batch: int, dropped: float, generator: np.random.Generator, device: torch.device) -> Tensor:
    """Whether something is there, False in ``dropped`` of the cases: bool [B]."""
    return torch.from_numpy(generator.random(batch) >= dropped).to(device)
