"""Exams that a study reads, named so that another process can open them itself."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets.learning.cache import SHARD, CacheKey, CanonicalExam, ExamSet, build, read_shard


class ExamSource(Hashable, Protocol):
    """A source of exams; equal sources hold the same exams."""

    @property
    def name(self) -> str:
        """Name of files that depend on these exams."""

    @property
    def exams(self) -> int:
        """Number of exams."""

    def prepare(self, *, workers: int) -> None:
        """Make the exams that are missing."""

    def read(self) -> Sequence[CanonicalExam]:
        """The exams; pixels are read when they are looked at."""


@dataclass(frozen=True, kw_only=True)
class Phantoms:
    """The first phantoms of a split."""

    key: CacheKey
    exams: int
    #: The cache's root; None for the default.
    root: Path | None = None

    @property
    def name(self) -> str:
        """Recipe, split and number, and the version of the phantoms."""
        return f"{self.key.recipe}-{self.key.split}-{self.exams}-{GENERATOR_VERSION}"

    def prepare(self, *, workers: int) -> None:
        """Render those that the cache lacks."""
        build(self.key, exams=self.exams, workers=workers, root=self.root)

    def read(self) -> Sequence[CanonicalExam]:
        """From the cache."""
        return ExamSet(self.key, exams=self.exams, root=self.root)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Exams that somebody brought together and wrote in shards."""

    name: str
    folder: Path
    exams: int

    def prepare(self, *, workers: int) -> None:
        """They are there."""

    def read(self) -> Sequence[CanonicalExam]:
        """From the shards."""
        return [exam for first in range(0, self.exams, SHARD) for exam in read_shard(self.folder, first)]


@cache
def exams_of(source: ExamSource) -> Sequence[CanonicalExam]:
    """The exams of a source, opened once in this process."""
    return source.read()
