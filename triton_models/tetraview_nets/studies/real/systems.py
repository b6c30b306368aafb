"""The systems of the benchmark by their names, with what stands beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tetraview.domain.training import trained_on
from tetraview.imaging.canonical import Frame
from tetraview_nets.plain import storage as plain_storage
from tetraview_nets.plain.network import PlainDetector
from tetraview_nets.plain.presets import SLIM
from tetraview_nets.studies.real.outlines import PatchReader
from tetraview_nets.studies.real.reading import BlobReader, BoxReader, NetworkReader, Reader
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
    """What reads, and a sentence on the weights of each network."""

    detectors: Sequence[ExamReader]
    patches: Sequence[PatchReader]
    weights: Sequence[str]

    @classmethod
    def of(cls, names: Sequence[str], weights: Mapping[str, Path]) -> Systems:
        """The systems of some names; blob and plain come with any detector.

        Args:
            names: of ``NAMES``.
            weights: files in place of those that are served.

        Raises:
            WeightsInvalid: weights cannot be used.
        """
        detectors, patches, sentences = [], [], []
        for name in [name for name in DETECTORS if name in names]:
            system = DETECTORS[name]
            path = weights.get(name, weights_file(name))
            network, card = load_network(path, name=system.card_name, presets=system.presets, build=system.build)
            frame = system.presets[card.preset].frame
            detectors.append(ExamReader(name=name, reader=NetworkReader(network), frame=frame))
            sentences.append(sentence(name, card))
        if detectors or PLAIN in names:
            plain, card = plain_storage.load(weights.get(PLAIN, PLAIN_WEIGHTS))
            reader = BoxReader(PlainDetector(plain))
            detectors.append(ExamReader(name=PLAIN, reader=reader, frame=plain.preset.frame))
            detectors.append(ExamReader(name=BLOB, reader=BlobReader(), frame=SLIM.frame))
            sentences.append(sentence(PLAIN, card))
        for name in [name for name in PATCH_SYSTEMS if name in names]:
            of = PATCH_SYSTEMS[name]
            path = weights.get(name, weights_file(name))
            network, card = load_network(path, name=name, presets=of.presets, build=of.build)
            patches.append(PatchReader(name=name, network=network, gives=of.gives))
            sentences.append(sentence(name, card))
        return cls(detectors=detectors, patches=patches, weights=sentences)


def sentence(name: str, card: WeightsCard) -> str:
    """Which weights, and what they learnt from."""
    source = ", ".join(card.training.get("mix") or trained_on(card.training_data))
    return f"`{name}` {card.version} ({card.preset}, sha256 {card.weights_sha256[:12]}), learnt from {source}."
