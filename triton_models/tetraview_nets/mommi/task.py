"""The training task of each network of MommiNet-v2, and how the network is watched while it learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from tetraview.domain.view import Route
from tetraview_nets.blocks.nipple import NippleNet, locate, nipple_loss
from tetraview_nets.boxes import boxes_to_map
from tetraview_nets.learning.augment import ViewSample, plain, window_of
from tetraview_nets.learning.cache import VIEWS, CanonicalExam
from tetraview_nets.learning.data import (
    AUX_DROPPED,
    GEOMETRY_DROPPED,
    MASS_SHARE,
    Draw,
    Views,
    collate,
    companion,
    jittered,
    mimics,
    present,
    reduced,
    with_companion,
)
from tetraview_nets.learning.distributed import ALONE, Workers
from tetraview_nets.learning.evaluate import read_exams, recall_figures, recalls
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.losses import pixel_focal, told_apart
from tetraview_nets.mommi.bidual import BiDualNet, components
from tetraview_nets.mommi.evaluate import MommiDetector
from tetraview_nets.mommi.ipsidual import Companions, IpsiDualNet
from tetraview_nets.mommi.network import MIN_EVIDENCE, MommiNet
from tetraview_nets.mommi.presets import MommiPreset
from tetraview_nets.mommi.recipe import Stage
from tetraview_nets.mommi.registration import register, warp

#: Share of maps hidden from the fusion network, so that a missing view is in distribution.
MAP_DROPPED = 0.15
#: Share of views that end close to the nipple when it is learnt.
CUT_SHORT = 0.3
#: Weight of telling masses from mimics beside the focal loss.
TOLD_WEIGHT = 0.5
#: The first number of each stage's random streams.
STREAMS = MappingProxyType({stage: number for number, stage in enumerate(Stage)})


@dataclass(frozen=True, kw_only=True, eq=False)
class TaskSet:
    """Input that all tasks of a run share."""

    preset: MommiPreset
    #: Exams the network learns from.
    exams: Sequence[CanonicalExam]
    #: Exams it is watched on.
    watched: Sequence[CanonicalExam]
    schedule: Schedule
    device: torch.device
    workers: Workers = ALONE
    #: How often each source of exams is drawn; None for all alike.
    shares: Mapping[str, float] | None = None
    #: Rows and columns of the windows that the ipsilateral network learns from; None for pairs of whole views.
    window: tuple[int, int] | None = None

    @property
    def batch(self) -> int:
        """Views or pairs that this process draws in a step."""
        return self.workers.share(self.schedule.batch)

    def generator(self, stage: Stage, step: int) -> np.random.Generator:
        """The random numbers of one step of one stage; each process has its own, the first those of one alone."""
        # NumPy fills a seed up with zeros: rank 0 draws what these numbers without a rank would draw.
        return np.random.default_rng([self.schedule.seed, STREAMS[stage], step, self.workers.rank])


class NippleTask:
    """Find the nipple in single views."""

    def __init__(self, given: TaskSet) -> None:
        self.given = given
        self.network: nn.Module = NippleNet(given.preset.nipple_backbone).to(given.device)
        self._draw = Draw(given.exams, shares=given.shares, usable=lambda exam: exam.nipple_known)

    def losses(self, step: int) -> dict[str, Tensor]:
        """Squared error of the heat map."""
        generator = self.given.generator(Stage.NIPPLE, step)
        samples = [cut_short(self._draw.sample(generator), generator) for _ in range(self.given.batch)]
        views = collate(samples, device=self.given.device)
        heat = self.network(views.image).float()
        return {"heat": nipple_loss(heat, views.nipple, views.in_profile, views.spacing)}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Median error of nipples in profile, and how many of both kinds are told right, on watched exams."""
        shown = [(exam, np.flatnonzero(exam.present & exam.nipple_known)) for exam in self.given.watched]
        views = [views_of(exam, which.tolist(), self.given.device) for exam, which in shown if len(which)]
        found = torch.cat([locate(network(view.image)) for view in views])
        true, visible, spacing = (
            torch.cat([getattr(v, n) for v in views]) for n in ("nipple", "in_profile", "spacing")
        )
        error = (found[:, :2] - true).norm(dim=1) * spacing
        confident = found[:, 2] >= 0.5  # noqa: PLR2004 - below it the network is not believed
        return {
            "median_mm": error[visible > 0].median().item(),
            "within_10_mm": (error[visible > 0] <= 10).float().mean().item(),  # noqa: PLR2004
            "told": (confident == (visible > 0)).float().mean().item(),
        }


def cut_short(sample: ViewSample, generator: np.random.Generator) -> ViewSample:
    """A view that in ``CUT_SHORT`` of the cases ends a little beyond the nipple.

    Some makers' and some data sets' images are cut close to its tip; the image's edge must not stand for it.
    """
    if not sample.nipple[2] or generator.random() >= CUT_SHORT:
        return sample
    end = int(sample.nipple[0] + generator.uniform(1.0, 12.0) / sample.spacing_mm)
    image = sample.image.copy()
    image[:, max(end, 0) :] = 0
    return replace(sample, image=image)


class WindowTask:
    """Find masses in windows of single views, of which a step sees many for the cost of few pairs.

    The other view of the breast is left to the relation stage.
    """

    def __init__(self, given: TaskSet) -> None:
        if given.window is None:
            raise ValueError("windows have no size")
        self.given, self._size = given, given.window
        # Anchors belong to the size of the image and to no weights, so that these fit whole views.
        preset = replace(
            given.preset, height=self._size[0], width=self._size[1], sampled_rois=given.preset.sampled_rois // 2
        )
        self._ipsi = IpsiDualNet(preset).to(given.device)
        self._whole = IpsiDualNet(given.preset).to(given.device)
        self.network: nn.Module = self._ipsi
        self._draw = Draw(given.exams, shares=given.shares)

    def losses(self, step: int) -> dict[str, Tensor]:
        """The detector's four losses on windows without companions."""
        generator = self.given.generator(Stage.IPSI, step)
        drawn = [self._draw.sample(generator) for _ in range(self.given.batch)]
        views = collate([window_of(view, self._size, generator) for view in drawn], device=self.given.device)
        alone = torch.zeros(len(drawn), dtype=torch.bool, device=self.given.device)
        return self._ipsi.loss(
            views.image,
            views.image,
            main_boxes=views.boxes,
            aux_boxes=views.boxes,
            main_nipple=views.nipple,
            aux_nipple=views.nipple,
            main_spacing=views.spacing,
            aux_spacing=views.spacing,
            aux_present=alone,
            geometry_ok=alone,
            main_ignored=views.ignored,
            aux_ignored=views.ignored,
        )

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Recall on whole watched exams."""
        self._whole.load_state_dict(network.state_dict())
        self._whole.eval()
        return recalls(self.given.watched, lambda exam: ipsi_boxes(self._whole, exam, self.given.device))


class IpsiTask:
    """Find masses in both views of one breast."""

    def __init__(self, given: TaskSet) -> None:
        self.given = given
        self._ipsi = IpsiDualNet(given.preset).to(given.device)
        self.network: nn.Module = self._ipsi
        self._draw = Draw(given.exams, shares=given.shares)

    def losses(self, step: int) -> dict[str, Tensor]:
        """The detector's four losses on pairs of views."""
        generator = self.given.generator(Stage.IPSI, step)
        batch, device = self.given.batch, self.given.device
        pairs = [self._draw.pair(generator, ipsilateral=True) for _ in range(batch)]
        main, aux = (collate(side, device=device) for side in zip(*pairs, strict=True))
        return self._ipsi.loss(
            main.image,
            aux.image,
            main_boxes=main.boxes,
            aux_boxes=aux.boxes,
            main_nipple=jittered(main, generator),
            aux_nipple=jittered(aux, generator),
            main_spacing=main.spacing,
            aux_spacing=aux.spacing,
            aux_present=aux.present & present(batch, AUX_DROPPED, generator, device),
            geometry_ok=_both_known(main, aux) & present(batch, GEOMETRY_DROPPED, generator, device),
            main_ignored=main.ignored,
            aux_ignored=aux.ignored,
        )

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Recall with true nipples on watched exams."""
        return recalls(self.given.watched, lambda exam: ipsi_boxes(network, exam, self.given.device))


class BiTask:
    """Find masses as asymmetries between the breasts."""

    def __init__(self, given: TaskSet) -> None:
        self.given = given
        self._bi = BiDualNet(given.preset).to(given.device)
        self.network: nn.Module = self._bi
        self._draw = Draw(
            [reduced(exam, given.preset.bi_reduction) for exam in given.exams],
            shares=given.shares,
            # A view laid on the other breast needs both nipples, and the other breast.
            usable=partial(with_companion, ipsilateral=False),
        )

    def losses(self, step: int) -> dict[str, Tensor]:
        """Focal loss of the map, and how well it tells masses from mimics."""
        generator = self.given.generator(Stage.BI, step)
        pairs = [self._draw.pair(generator, ipsilateral=False) for _ in range(self.given.batch)]
        main, aux = (collate(side, device=self.given.device) for side in zip(*pairs, strict=True))
        opposite = registered(main, aux, nipples=(jittered(main, generator), jittered(aux, generator)))
        logits = self._bi.at_own_scale(main.image, opposite).float()
        told = told_apart(logits, main.mass, mimics(main))
        return {"focal": pixel_focal(logits, main.mass, main.ignored), "told": TOLD_WEIGHT * told}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Recall of the map's components with true nipples on watched exams."""

        def boxes(exam: CanonicalExam) -> list[tuple[Tensor, Tensor]]:
            maps, _ = bi_maps(network, exam, self.given.device)
            return [components(p, spacing_mm=float(s)) for p, s in zip(maps, exam.spacing_mm, strict=True)]

        return recalls(self.given.watched, boxes)


def _both_known(main: Views, aux: Views) -> Tensor:
    """Whether the nipples of both views of each pair may be measured from: bool [B]."""
    return main.nipple_known & aux.nipple_known


def registered(main: Views, aux: Views, *, nipples: tuple[Tensor, Tensor]) -> Tensor:
    """The auxiliary images laid on the main ones: float32 [B, 1, H, W]."""
    grids = [
        register(main.breast[i, 0], aux.breast[i, 0], nipples[0][i], nipples[1][i]).grid for i in range(len(main.image))
    ]
    return warp(aux.image, torch.cat(grids).to(aux.image.device))


def views_of(exam: CanonicalExam, views: Sequence[int], device: torch.device) -> Views:
    """Views of an exam as they are."""
    return collate([plain(exam, view) for view in views], device=device)


def ipsi_companions(exam: CanonicalExam, views: Views) -> Companions:
    """The companion of each view of an exam, with true nipples; an absent view accompanies none."""
    partner = torch.tensor([companion(view, ipsilateral=True) for view in range(len(VIEWS))])
    known = torch.from_numpy(exam.nipple_known)
    return Companions(
        partner=torch.where(torch.from_numpy(exam.present)[partner], partner, -1).to(views.image.device),
        nipple=views.nipple,
        spacing=views.spacing,
        geometry_ok=(known & known[partner]).to(views.image.device),
    )


def ipsi_boxes(network: nn.Module, exam: CanonicalExam, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Boxes and scores of the ipsilateral network for all four views, with true nipples."""
    views = views_of(exam, range(len(VIEWS)), device)
    return network.detect_all(network.features(views.image), ipsi_companions(exam, views))  # type: ignore[no-any-return, operator]


def bi_maps(network: nn.Module, exam: CanonicalExam, device: torch.device) -> tuple[Tensor, Tensor]:
    """The bilateral network's maps of an exam's views, with true nipples.

    Returns:
        Probability maps, float32 [4, H, W], zero where a view cannot be compared, and which views can: bool [4].
    """
    able = with_companion(exam, ipsilateral=False)
    maps = torch.zeros(exam.images.shape, device=device)
    chosen = np.flatnonzero(able).tolist()
    if chosen:
        main = views_of(exam, chosen, device)
        aux = views_of(exam, [companion(view, ipsilateral=False) for view in chosen], device)
        logits: Tensor = network(main.image, registered(main, aux, nipples=(main.nipple, aux.nipple)))
        maps[chosen] = logits[:, 0].sigmoid().float()
    return maps, torch.from_numpy(able)


@dataclass(frozen=True, kw_only=True, eq=False)
class FusionInput:
    """The fusion network's input about V views, in 8 or 16 bits to save memory."""

    #: float16 [V, C, H/4, W/4], frozen; None where they are all branches of a backbone, too large to be kept.
    features: Tensor | None
    #: uint8 [V, 3, H, W]: image, ipsilateral map and bilateral map, 255 is 1.
    planes: Tensor
    #: bool [V, 1, H, W].
    mass: Tensor
    #: bool [V, 1, H, W], what counts neither as a mass nor as none.
    ignored: Tensor
    #: bool [V], whether there is a bilateral map.
    compared: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, network: MommiNet, exams: Sequence[CanonicalExam], device: torch.device) -> FusionInput:
        """Run the trained networks over exams they have not seen."""
        each = (_evidence(network, exam, device) for exam in exams)
        planes, mass, ignored, compared = (torch.cat(column) for column in zip(*each, strict=True))
        if network.preset.fusion_source == "concat":
            return cls(features=None, planes=planes, mass=mass, ignored=ignored, compared=compared)
        batches = [_images(four, device) for four in torch.split(planes, len(VIEWS))]
        features = torch.cat([network.fusion_features(image).half().cpu() for image in batches])
        return cls(features=features, planes=planes, mass=mass, ignored=ignored, compared=compared)


def _images(planes: Tensor, device: torch.device) -> Tensor:
    """The images among evidence: float32 [V, 1, H, W]; exactly, as phantoms are kept with 8 bits."""
    return planes[:, :1].to(device).float() / 255


def _evidence(network: MommiNet, exam: CanonicalExam, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Planes, masses and ignored pixels of an exam's views, and which views were compared with the other breast."""
    views = views_of(exam, range(len(VIEWS)), device)
    height, width = views.image.shape[-2:]
    found = ipsi_boxes(network.ipsi, exam, device)
    believed = [(boxes[scores >= MIN_EVIDENCE].cpu(), scores[scores >= MIN_EVIDENCE].cpu()) for boxes, scores in found]
    ipsi = torch.stack([boxes_to_map(boxes, scores, height, width) for boxes, scores in believed])
    maps, compared = bi_maps(network.bi, exam, device)
    planes = torch.stack([views.image[:, 0].cpu(), ipsi, maps.cpu()], dim=1)
    there = torch.from_numpy(exam.present)
    return (planes * 255).round().byte()[there], views.mass.cpu()[there], views.ignored.cpu()[there], compared[there]


class FusionTask:
    """Weigh image, ipsilateral boxes and bilateral map against each other."""

    def __init__(self, given: TaskSet, network: MommiNet) -> None:
        self.given = given
        self._mommi = network.to(given.device).eval()
        self.network: nn.Module = network.fusion
        self._evidence = FusionInput.of(self._mommi, given.exams, given.device)
        self._with_mass = torch.nonzero(self._evidence.mass.flatten(1).any(dim=1))[:, 0].numpy()

    def losses(self, step: int) -> dict[str, Tensor]:
        """Focal loss of the fused map."""
        generator = self.given.generator(Stage.FUSION, step)
        batch, device = self.given.batch, self.given.device
        chosen = torch.from_numpy(self._choose(batch, generator))
        image, ipsi, bi = (self._evidence.planes[chosen].to(device).float() / 255).chunk(3, dim=1)
        shown = [present(batch, MAP_DROPPED, generator, device) for _ in range(2)]
        shown[1] = shown[1] & self._evidence.compared[chosen].to(device)
        logits = self.network(self._features(chosen), image, ipsi, bi, *shown)
        mass, ignored = (plane[chosen].to(device) for plane in (self._evidence.mass, self._evidence.ignored))
        return {"focal": pixel_focal(logits.float(), mass, ignored)}

    @torch.no_grad()
    def _features(self, chosen: Tensor) -> Tensor:
        if self._evidence.features is None:
            return self._mommi.fusion_features(_images(self._evidence.planes[chosen], self.given.device))
        return self._evidence.features[chosen].to(self.given.device).float()

    def _choose(self, batch: int, generator: np.random.Generator) -> np.ndarray:
        anywhere = generator.integers(len(self._evidence.mass), size=batch)
        if not len(self._with_mass):
            return anywhere
        return np.where(generator.random(batch) < MASS_SHARE, generator.choice(self._with_mass, batch), anywhere)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Recall of the whole of MommiNet-v2 on watched exams."""
        self._mommi.fusion.load_state_dict(network.state_dict())
        return recall_figures(read_exams(MommiDetector(self._mommi), self.given.watched, Route.TRI))


TASKS: Mapping[Stage, Callable[[TaskSet], NippleTask | IpsiTask | BiTask]] = MappingProxyType(
    {Stage.NIPPLE: NippleTask, Stage.IPSI: IpsiTask, Stage.BI: BiTask}
)
