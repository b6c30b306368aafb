"""An exception as log fields: its kind and place, never the values that it quotes."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from tetraview.errors import TetraviewError

#: Innermost calls that are named.
_DEPTH = 12


def describe(error: BaseException) -> dict[str, Any]:
    """Type, place and causes of an exception; the text only of our own, which is written to hold no patient data.

    Returns:
        ``error`` (type), ``reason`` (text of a ``TetraviewError``), ``stack`` (places, outermost first) and ``causes``
        (types of the exceptions behind it).
    """
    fields: dict[str, Any] = {"error": _type(error), "stack": _places(error)}
    if isinstance(error, TetraviewError):
        fields["reason"] = str(error)
    causes = _causes(error)
    return fields | {"causes": causes} if causes else fields


def _type(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _places(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-_DEPTH:]
    return [f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}" for frame in frames]


def _causes(error: BaseException) -> list[str]:
    """Types of the chain behind an exception, nearest first; a chain may be a ring."""
    seen: list[BaseException] = [error]
    while (cause := seen[-1].__cause__ or seen[-1].__context__) is not None and cause not in seen:
        seen.append(cause)
    return [_type(cause) for cause in seen[1:]]
