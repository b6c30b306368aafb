"""The tables of a training as a picture: losses, learning rate and validation figures by step."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

#: A column of the loss table that says how long a step took, not how well it went.
DURATION = "seconds"
RATE = "learning_rate"

Table = Mapping[str, Sequence[float]]


def read_table(path: Path) -> Table:
    """The columns of a table by name, ``step`` among them; empty where there is no such table."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return {name: [float(row[i]) for row in rows] for i, name in enumerate(header)}


def draw_curves(folder: Path, name: str) -> Path:
    """Draw ``{name}.csv`` and ``{name}-validation.csv`` into ``{name}.png`` beside them, whole or not at all."""
    losses, validation = read_table(folder / f"{name}.csv"), read_table(folder / f"{name}-validation.csv")
    figure = Figure(figsize=(7, 8), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True)
    _plot(top, {column: values for column, values in losses.items() if column not in {RATE, DURATION}})
    _plot(middle, {column: values for column, values in losses.items() if column in {"step", RATE}})
    _plot(bottom, validation, marker="o")
    top.set(title=f"Training of {name}", ylabel="loss", ylim=(0, None))
    middle.set(ylabel="learning rate")
    bottom.set(ylabel="watched exams", xlabel="step")
    path = folder / f"{name}.png"
    part = path.with_suffix(".png.part")
    figure.savefig(part, format="png", dpi=100)
    part.replace(path)
    return path


def _plot(axes: Axes, table: Table, *, marker: str = "") -> None:
    for column, values in table.items():
        if column != "step":
            axes.plot(table["step"], values, label=column, marker=marker)
    if len(table) > 1:
        axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
