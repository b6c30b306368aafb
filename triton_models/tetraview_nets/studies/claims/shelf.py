"""Answers of networks about many exams, kept in pieces, so that a killed reading goes on where it stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The answer about one view, in columns of equal length such as boxes [N, 4] and scores [N].
Columns = tuple[NDArray[Any], ...]


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """One folder of pieces; a piece is whole or absent."""

    folder: Path
    #: Number of exams in all pieces.
    exams: int
    #: Exams of a piece.
    size: int = 20

    @property
    def pieces(self) -> range:
        """Their numbers."""
        return range(-(-self.exams // self.size))

    def missing(self) -> list[int]:
        """The pieces that are not there."""
        return [number for number in self.pieces if not self._path(number).exists()]

    def exams_in(self, piece: int) -> range:
        """Which exams a piece is about."""
        return range(piece * self.size, min((piece + 1) * self.size, self.exams))

    def put(self, piece: int, said: Mapping[str, Sequence[Columns]]) -> None:
        """Keep what each of some readers said of the views of a piece."""
        self.folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = {}
        for name, views in said.items():
            arrays[f"{name} views"] = np.array([len(view[0]) for view in views], dtype=np.int64)
            for place, column in enumerate(zip(*views, strict=True)):
                arrays[f"{name} {place}"] = np.concatenate(column)
        part = self._path(piece).with_suffix(".part.npz")
        np.savez(part, **arrays)  # type: ignore[arg-type]
        part.replace(self._path(piece))

    def said(self, name: str) -> list[Columns]:
        """The answers of one reader about all views, in the order in which they were put.

        Raises:
            FileNotFoundError: a piece is missing.
        """
        return [view for number in self.pieces for view in self._of_piece(number, name)]

    def _of_piece(self, number: int, name: str) -> list[Columns]:
        with np.load(self._path(number)) as arrays:
            ends = np.cumsum(arrays[f"{name} views"])[:-1]
            places = takewhile(lambda key: key in arrays, (f"{name} {place}" for place in count()))
            columns = [np.split(arrays[place], ends) for place in places]
        return list(zip(*columns, strict=True))

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:04d}.npz"
