"""The chart, rendered by Helm's own engine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

Object = dict[str, Any]
CHART = Path(__file__).parents[2] / "helm" / "tetraview"
#: One file of values for each feature.
FEATURES = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))
#: Kinds that operators define and Kubernetes itself does not know.
CUSTOM = {"Certificate", "PodMonitor", "PrometheusRule", "ScaledObject"}
#: Name and namespace of the release that tests render.
RELEASE, NAMESPACE = "tetraview", "imaging"


def values_of(feature: str) -> dict[str, Any]:
    """The values that try one feature."""
    values: dict[str, Any] = yaml.safe_load((CHART / "ci" / f"{feature}.yaml").read_text())
    return values


def read(text: str) -> list[Object]:
    """The objects of a text; libyaml reads it ten times faster than Python does."""
    return [found for found in yaml.load_all(text, yaml.CSafeLoader) if found]


def documents(values: Mapping[str, Any], *, chart: Path = CHART) -> dict[str, str]:
    """The text of each template, by its path within the chart."""
    with helm.Chart.load(chart) as loaded:
        rendered = loaded.render(dict(values), name=RELEASE, namespace=NAMESPACE)
    return {path.partition("templates/")[2]: text for path, text in rendered.items() if text.strip()}


def render(values: Mapping[str, Any], *, chart: Path = CHART) -> list[Object]:
    """The Kubernetes objects."""
    texts = documents(values, chart=chart)
    return [found for path, text in texts.items() if path != "NOTES.txt" for found in read(text)]


@cache
def _rendered(feature: str) -> str:
    return json.dumps(render(values_of(feature)))


def objects_of(feature: str) -> list[Object]:
    """The objects of one feature."""
    objects: list[Object] = json.loads(_rendered(feature))
    return objects


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    """The objects of one kind."""
    return [found for found in objects if found["kind"] == kind]


def named(objects: list[Object], kind: str, name: str) -> Object:
    """The object of a kind and name."""
    (found,) = [found for found in of_kind(objects, kind) if found["metadata"]["name"] == name]
    return found


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Name of the owner, and metadata with specification, of every pod there will be."""
    for found in objects:
        name = f"{found['kind']} {found['metadata']['name']}"
        if found["kind"] == "Pod":
            yield name, found
        elif found["kind"] in {"StatefulSet", "Deployment"}:
            yield name, found["spec"]["template"]


def with_values(feature: str, **changes: Any) -> dict[str, Any]:
    """Values of a feature with some changed; a name with two underscores is a place: ``storage__size``."""
    values = deepcopy(values_of(feature))
    for place, value in changes.items():
        *sections, key = place.split("__")
        section = values
        for name in sections:
            section = section.setdefault(name, {})
        section[key] = value
    return values
