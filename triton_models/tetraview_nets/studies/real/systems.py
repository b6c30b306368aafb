"""The systems of the benchmark by their names, with the baselines beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tetraview.domain.frame import Frame
from tetraview.domain.training import trained_on
from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.plain import storage as plain_storage
from tetraview_nets.plain.network import PlainDetector
from tetraview_nets.plain.presets import SLIM
from tetraview_nets.studies.real.outlines import PatchReader
from tetraview_nets.studies.real.reading import BlobReader, BoxReader, NetworkReader, Reader, RouteReader
from tetraview_nets.systems import DETECTORS, PATCH_SYSTEMS, REPOSITORY, weights_file
from tetraview_nets.weights import WeightsCard, load_network

BLOB, PLAIN = "blob", plain_storage.NAME
#: Weights of the plain network, for these tables alone.
PLAIN_WEIGHTS = REPOSITORY.parent / "results" / "plain.safetensors"
#: All that can be asked for.
NAMES = (*DETECTORS, *PATCH_SYSTEMS, PLAIN)


@dataclass(frozen=True, kw_only=True)
class ExamReader:
    """A detector with the frame that it reads."""

    name: str
    reader: Reader
    frame: Frame


@dataclass(frozen=True, kw_only=True)
class Systems:
    """The readers, and a sentence on the weights of each network."""

    detectors: Sequence[ExamReader]
    patches: Sequence[PatchReader]
    weights: Sequence[str]
    #: Names of the data sets that any of the weights has seen, to learn from or to choose numbers on.
    seen: frozenset[str] = frozenset()

    @classmethod
    def of(cls, names: Sequence[str], weights: Mapping[str, Path], *, alone: bool = False) -> Systems:
        """The systems of some names; blob and plain come with any detector.

        Args:
            names: of ``NAMES``.
            weights: files in place of those that are served.
            alone: without blob and plain.

        Raises:
            WeightsInvalid: weights cannot be used.
        """
        paths = {name: weights.get(name, weights_file(name)) for name in names if name != PLAIN}
        detectors = [_detector(name, paths[name]) for name in DETECTORS if name in names]
        patches = [_patches(name, paths[name]) for name in PATCH_SYSTEMS if name in names]
        if (detectors or PLAIN in names) and not alone:
            detectors += [_plain(weights.get(PLAIN, PLAIN_WEIGHTS)), BLOB_READER]
        cards = [(reader.name, card) for reader, card in detectors if card]
        cards += [(reader.name, card) for reader, card in patches]
        return cls(
            detectors=[reader for reader, _ in detectors],
            patches=[reader for reader, _ in patches],
            weights=[sentence(name, card) for name, card in cards],
            seen=frozenset(each.name for _, card in cards for each in card.training_data),
        )


def _detector(name: str, path: Path) -> tuple[ExamReader, WeightsCard | None]:
    system = DETECTORS[name]
    network, card = load_network(path, name=system.card_name, presets=system.presets, build=system.build)
    frame = system.presets[card.preset].frame
    reader = RouteReader(network) if isinstance(network, MommiNet) else NetworkReader(network)
    return ExamReader(name=name, reader=reader, frame=frame), card


def _plain(path: Path) -> tuple[ExamReader, WeightsCard | None]:
    network, card = plain_storage.load(path)
    reader = BoxReader(PlainDetector(network))
    return ExamReader(name=PLAIN, reader=reader, frame=network.preset.frame), card


BLOB_READER = ExamReader(name=BLOB, reader=BlobReader(), frame=SLIM.frame), None


def _patches(name: str, path: Path) -> tuple[PatchReader, WeightsCard]:
    system = PATCH_SYSTEMS[name]
    network, card = load_network(path, name=name, presets=system.presets, build=system.build)
    return PatchReader(name=name, network=network, gives=system.gives), card


def sentence(name: str, card: WeightsCard) -> str:
    """Which weights, and what they learnt from how long, as far as their card says."""
    steps = card.training.get("schedule", {}).get("steps")
    learnt = f"learnt from {', '.join(trained_on(card.training_data))}" + (f" in {steps:,} steps" if steps else "")
    return f"`{name}` {card.version} ({card.preset}, sha256 {card.weights_sha256[:12]}), {learnt}."
