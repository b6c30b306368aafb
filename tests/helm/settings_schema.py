"""The part of the chart's schema that is about the service's settings, from the settings themselves.

Run it after a change of the settings: ``python tests/helm/settings_schema.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tetraview.settings import Settings

SCHEMA = Path(__file__).parents[2] / "helm" / "tetraview" / "values.schema.json"
#: Prefixes of the chart's own definitions; all others are sections of the settings.
_OURS = ("chart", "k8s")


def whole_schema() -> dict[str, Any]:
    """The chart's schema with the settings as they are now."""
    schema: dict[str, Any] = json.loads(SCHEMA.read_text())
    settings = _plain(Settings.model_json_schema())
    sections = settings.pop("$defs")
    ours = {name: kind for name, kind in schema["$defs"].items() if name.startswith(_OURS)}
    schema["$defs"] = ours | sections
    schema["properties"]["settings"] = settings
    return schema


def text_of(schema: dict[str, Any]) -> str:
    """The file's text."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _plain(node: Any) -> Any:
    """The same schema without defaults, which the service knows, and without titles, which repeat the key."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items() if key not in {"default", "title"}}
    return [_plain(value) for value in node] if isinstance(node, list) else node


if __name__ == "__main__":
    SCHEMA.write_text(text_of(whole_schema()))
