"""The chart's documentation works when it is followed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helm.chart import CHART, NAMESPACE, RELEASE, documents, of_kind, pods, read, render

README = (CHART.parent / "README.md").read_text()
#: Both pages that tell how to install; each file of values is identified by its page and its own name.
PAGES = {"helm": README, "first": (CHART.parents[1] / "README.md").read_text()}
FILES = {
    (page, name): values
    for page, text in PAGES.items()
    for name, values in re.findall(r"^cat > (\S+\.yaml) <<'EOF'\n(.*?)^EOF$", text, re.MULTILINE | re.DOTALL)
}
INSTALLS = [
    (page, command)
    for page, text in PAGES.items()
    for command in re.findall(r"^helm (?:install|upgrade) tetraview helm/tetraview .*$", text, re.MULTILINE)
]


def _merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Two files of values as Helm takes them together."""
    both = base | more
    for key in base.keys() & more.keys():
        if isinstance(base[key], dict) and isinstance(more[key], dict):
            both[key] = _merged(base[key], more[key])
    return both


@pytest.mark.parametrize(("page", "command"), INSTALLS)
def test_each_installation_can_be_made(page: str, command: str) -> None:
    """The files that a command names are those that its page tells the reader to write, and the chart takes them."""
    values: dict[str, Any] = {}
    for name in re.findall(r"--values (\S+)", command):
        values = _merged(values, yaml.safe_load(FILES[page, name]))
    assert values
    assert f"--namespace {NAMESPACE}" in command
    assert len(list(pods(render(values)))) >= 2
    assert "lets nobody in" not in documents(values)["NOTES.txt"]


def test_there_are_three_installations() -> None:
    """One pod, several, and GPUs: three ways, each with its file."""
    assert (
        len([page for page, _ in INSTALLS if page == "helm"]) == len([page for page, _ in FILES if page == "helm"]) == 3
    )


def test_a_manifest_is_written_without_helm(tmp_path: Path) -> None:
    """`helm/render.py` prints the objects that Helm would install, without hooks, and the notes apart."""
    values = tmp_path / "one.yaml"
    values.write_text(FILES["helm", "one.yaml"])
    command = [sys.executable, str(CHART.parent / "render.py"), RELEASE, str(values), "--namespace", NAMESPACE]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    written = read(ran.stdout)
    expected = [found for found in render(yaml.safe_load(FILES["helm", "one.yaml"])) if found["kind"] != "Pod"]
    assert sorted(map(str, written)) == sorted(map(str, expected))
    assert of_kind(written, "StatefulSet")
    assert "AE title  TETRAVIEW" in ran.stderr


def test_contradictions_are_printed_without_helm(tmp_path: Path) -> None:
    """`helm/render.py` refuses the same values as the chart, with the same sentence."""
    values = tmp_path / "values.yaml"
    values.write_text("topology: scaled\n")
    command = [sys.executable, str(CHART.parent / "render.py"), RELEASE, str(values)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert "set database.secretName" in ran.stderr
    assert ran.stdout == ""


def test_what_the_readme_names_exists() -> None:
    """Every value that the README names by its place is one of the chart."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    named = {
        place
        for place in re.findall(r"`([a-zA-Z]+(?:\.[a-zA-Z]+)+)(?::[^`]*)?`", README)
        if place.split(".")[0] in values
    }
    assert len(named) >= 6
    for place in named:
        node = values
        for key in place.split("."):
            assert key in node, place
            node = node[key]
