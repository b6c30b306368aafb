"""The figures of the benchmark as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tetraview_nets.metrics import FPPI_POINTS
from tetraview_nets.studies.real import malignancy, misses, nipples, outlines, recall, routes
from tetraview_nets.studies.real.figure import Figure

#: Rate of false positives at which sizes are told apart.
SIZED_AT = 1.0


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]


def recall_table(figures: Sequence[Figure], *, by: str) -> list[str]:
    """Recall at every rate, one detector a line."""
    chosen = [each for each in figures if each.table == by and each.of == recall.EVERY_SIZE]
    columns = [recall.measure(fppi) for fppi in FPPI_POINTS]
    return _pivot(chosen, "detector", columns, lambda figure: figure.measure)


def size_table(figures: Sequence[Figure]) -> list[str]:
    """Recall of masses of each size at one rate, one detector a line."""
    at = recall.measure(SIZED_AT)
    chosen = [each for each in figures if each.table == recall.BY_BOX and each.measure == at]
    columns = [name for name in recall.BANDS if any(each.of == name for each in chosen)]
    return _pivot(chosen, f"detector, {at}", columns, lambda figure: figure.of)


def difference_table(figures: Sequence[Figure]) -> list[str]:
    """Recall beside that of the plain network."""
    chosen = [each for each in figures if each.table == recall.DIFFERENCE]
    columns = [recall.measure(fppi) for fppi in recall.COMPARED_AT]
    return _pivot(chosen, f"detector {chosen[0].of}" if chosen else "", columns, lambda figure: figure.measure)


def route_table(figures: Sequence[Figure], *, part: str) -> list[str]:
    """Recall by every route on a part, its difference from single views, and masses found in any view and in both."""
    at = [recall.measure(fppi) for fppi in recall.COMPARED_AT]
    chosen = [each for each in figures if each.of == part and each.table in routes.TABLES]
    columns = [f"{what}{name}" for what in ("", "minus single, ") for name in at]
    views = [what for what in (routes.ANY_VIEW, routes.BOTH_VIEWS) if any(each.measure == what for each in chosen)]
    return _pivot(chosen, part, [*columns, *views], _route_column)


def _route_column(figure: Figure) -> str:
    return f"minus single, {figure.measure}" if figure.table == routes.ROUTE_DIFFERENCE else figure.measure


def missed_table(figures: Sequence[Figure]) -> list[str]:
    """How many masses of each kind of difficulty every detector misses."""
    chosen = [each for each in figures if each.table == misses.MISSED]
    columns = [str(each) for each in misses.Cause if any(figure.of == each for figure in chosen)]
    counts = {each.of: each.count for each in chosen}
    cells = {(each.system, each.of): f"{each.value * each.count:.0f}" for each in chosen}
    systems = dict.fromkeys(each.system for each in chosen)
    rows = [[system, *(cells.get((system, name), "") for name in columns)] for system in systems]
    return table(["missed", *(f"{name} ({counts[name]})" for name in columns)], rows) if rows else []


def nipple_table(figures: Sequence[Figure]) -> list[str]:
    """Nipples of each data set, projection and reader."""
    chosen = [each for each in figures if each.table == nipples.NIPPLE]
    return _long(chosen, ["data set", "projection", "reader"], list(nipples.MEASURES), lambda figure: figure.measure)


def outline_table(figures: Sequence[Figure]) -> list[str]:
    """Dice of each data set, kind of boxes and segmenter, and the difference from the ellipse."""
    names = {outlines.DICE: "Dice", outlines.DICE_DIFFERENCE: f"minus {outlines.ELLIPSE}"}
    chosen = [each for each in figures if each.table in names]
    return _long(chosen, ["data set", "boxes", "segmenter"], [*names.values()], lambda figure: names[figure.table])


def class_table(figures: Sequence[Figure]) -> list[str]:
    """Area under the curve of each data set and classifier."""
    chosen = [each for each in figures if each.table == malignancy.AUC]
    return _long(chosen, ["data set", "of", "classifier"], [malignancy.AUC], lambda figure: figure.table)


def _long(
    figures: Sequence[Figure], head: Sequence[str], columns: Sequence[str], column: Callable[[Figure], str]
) -> list[str]:
    """One group, part and system a line."""
    lines: dict[tuple[str, str, str], dict[str, Figure]] = {}
    for each in figures:
        lines.setdefault((f"{each.group} ({each.count})", each.of, each.system), {})[column(each)] = each
    rows = [
        [*names, *(found[name].printed if name in found else "" for name in columns)]
        for names, found in sorted(lines.items(), key=lambda line: line[0][:2])
    ]
    return table([*head, *columns], rows) if rows else []


def _pivot(
    figures: Sequence[Figure], corner: str, columns: Sequence[str], column: Callable[[Figure], str]
) -> list[str]:
    """One system a line, one measure a column, with the number of masses in its head; nothing of no figures."""
    if not figures:
        return []
    counts = {column(each): each.count for each in figures}
    head = [corner, *(f"{name} ({counts[name]})" for name in columns)]
    cells = {(each.system, column(each)): each.printed for each in figures}
    systems = list(dict.fromkeys(each.system for each in figures))
    return table(head, [[system, *(cells.get((system, name), "") for name in columns)] for system in systems])
