"""The settings file that the chart writes, read by the service."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
from tests.helm.chart import CHART, FEATURES, Object, named, objects_of, of_kind, pods, render, with_values
from tests.helm.settings_schema import SCHEMA, text_of, whole_schema

from tetraview.settings import Settings, load_settings


def _toml(objects: list[Object]) -> str:
    (found,) = [each for each in of_kind(objects, "ConfigMap") if each["metadata"]["name"].endswith("-settings")]
    text: str = found["data"]["tetraview.toml"]
    return text


def _settings(objects: list[Object], folder: Path, monkeypatch: pytest.MonkeyPatch, role: str = "all") -> Settings:
    file = folder / "tetraview.toml"
    file.write_text(_toml(objects))
    monkeypatch.setenv("TETRAVIEW_ROLE", role)
    monkeypatch.setenv("TETRAVIEW_EXECUTOR_ID", "tetraview-0")
    return load_settings(file)


def _roles(objects: list[Object]) -> list[str]:
    containers = [pod["spec"]["containers"][0] for owner, pod in pods(objects) if owner.startswith("StatefulSet")]
    return [
        variable["value"] for each in containers for variable in each["env"] if variable["name"] == "TETRAVIEW_ROLE"
    ]


@pytest.mark.parametrize("feature", FEATURES)
def test_the_service_can_read_its_settings(feature: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each role that the chart starts, the file is valid, listens to others and keeps its data on the volume."""
    objects = objects_of(feature)
    for role in _roles(objects):
        settings = _settings(objects, tmp_path, monkeypatch, role)
        assert settings.role == role
        assert (settings.dicom.host, settings.dicom.port) == ("0.0.0.0", 11112)
        assert (settings.web.host, settings.web.port) == ("0.0.0.0", 8080)
        assert settings.data_dir == Path("/var/lib/tetraview/data")


def test_settings_arrive_as_they_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Titles, lists of sections, booleans and numbers come out as they went in."""
    settings = _settings(objects_of("scaled"), tmp_path, monkeypatch)
    assert settings.called_ae_titles == ("MAMMO_AI", "MAMMO_YOLO")
    assert settings.dicom.drain_seconds == 45.5
    assert [str(address) for address in settings.senders[0].addresses] == ["10.1.0.0/16"]
    (pacs,) = settings.destinations
    assert (pacs.host, pacs.port, pacs.commitment, pacs.retry_hours) == ("pacs.example.org", 104, True, 24.0)
    assert settings.database_url_file == Path("/run/tetraview/database/url")


def test_whole_numbers_stay_whole() -> None:
    """A port or a size is an integer of TOML, however deep it lies; Helm alone would make it a fraction."""
    text = _toml(render(with_values("scaled", settings__imaging={"memory_bytes": 3_221_225_472, "wall_seconds": 61.5})))
    values = tomllib.loads(text)
    assert values["imaging"] == {"memory_bytes": 3_221_225_472, "wall_seconds": 61.5}
    assert isinstance(values["imaging"]["memory_bytes"], int)
    assert isinstance(values["destinations"][0]["port"], int)
    assert isinstance(values["dicom"]["port"], int)


def test_every_setting_can_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting that the chart leaves alone can be given as the service's own default, which changes nothing."""
    plain = _settings(render({}), tmp_path, monkeypatch)
    given = plain.model_dump(mode="json", exclude_none=True)
    for key in ("role", "executor_id", "data_dir"):
        del given[key]
    for section, keys in {
        "dicom": ("host", "port"),
        "web": ("host", "port", "allowed_hosts"),
        "triton": ("url",),
    }.items():
        for key in keys:
            del given[section][key]
    assert _settings(render({"settings": given}), tmp_path, monkeypatch).model_dump() == plain.model_dump()


@pytest.mark.parametrize(
    ("mode", "url"), [("sidecar", "127.0.0.1:8001"), ("deployment", "tetraview-triton:8001"), ("external", "t:9001")]
)
def test_the_service_asks_the_triton_that_there_is(
    mode: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address of Triton follows from where it runs."""
    values: dict[str, Any] = {"triton": {"mode": mode}, "networkPolicy": {"enabled": False}}
    if mode == "external":
        values["triton"]["url"] = url
    objects = render(values)
    assert _settings(objects, tmp_path, monkeypatch).triton.url == url
    services = [f"{each['metadata']['name']}:8001" for each in of_kind(objects, "Service")]
    assert (url in services) is (mode == "deployment")


@pytest.mark.parametrize("feature", FEATURES)
def test_files_that_settings_name_are_mounted(feature: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every certificate, key, token and password that the settings name lies in a mounted Secret."""
    objects = objects_of(feature)
    settings = _settings(objects, tmp_path, monkeypatch)
    paths = [path for path in _paths(settings.model_dump()) if path != settings.data_dir]
    for owner, pod in pods(objects):
        if owner.startswith("StatefulSet"):
            mounts = [Path(each["mountPath"]) for each in pod["spec"]["containers"][0]["volumeMounts"]]
            assert [path for path in paths if path.parent not in mounts] == []
    expected = {"tls-secret": 9, "tls-cert-manager": 5, "one-sqlite": 0}
    assert len(paths) == expected.get(feature, len(paths))


def _paths(node: Any) -> list[Path]:
    if isinstance(node, dict):
        return _paths(list(node.values()))
    if isinstance(node, list | tuple):
        return [path for each in node for path in _paths(each)]
    return [node] if isinstance(node, Path) else []


def test_a_change_of_settings_rolls_the_pods() -> None:
    """Pods are annotated with a digest of their settings, which changes with the settings and only with them."""

    def told(values: dict[str, Any]) -> str:
        template = named(render(values), "StatefulSet", "tetraview")["spec"]["template"]
        checksum: str = template["metadata"]["annotations"]["checksum/settings"]
        return checksum

    before = told(with_values("one-sqlite"))
    assert told(with_values("one-sqlite", web__service={"port": 80})) == before
    assert told(with_values("one-sqlite", settings__log_level="debug")) != before


def test_pages_may_be_asked_for_by_every_name_that_the_chart_gives_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names of Services and of the Ingress are among those by which the pages let themselves be called."""
    hosts = _settings(objects_of("ingress"), tmp_path, monkeypatch).web.allowed_hosts
    assert {"tetraview-web", "tetraview-web.imaging.svc", "mammo-ai.example.org"} <= set(hosts)


def test_the_schema_has_the_settings_of_this_version() -> None:
    """The chart's schema knows every setting; if this fails, run ``python tests/helm/settings_schema.py``."""
    assert SCHEMA.read_text() == text_of(whole_schema())


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"settings": {"dicom": {"ae_titel": "X"}}}, "ae_titel"),
        ({"settings": {"destinations": [{"name": "pacs", "prot": 104}]}}, "prot"),
        ({"settings": {"dicom": {"ae_title": "SEVENTEEN LETTERS"}}}, "/settings/dicom/ae_title"),
        ({"listener": {"replica": 3}}, "replica"),
        ({"one": {"replicas": 2}}, "replicas"),
        ({"image": {"tag": 1.1}}, "/image/tag"),
        ({"dicom": {"service": {"type": "ExternalName"}}}, "/dicom/service/type"),
        ({"dicom": {"service": {"port": 111120}}}, "/dicom/service/port"),
        ({"worker": {"replicas": 0}}, "/worker/replicas"),
        ({"shutdown": {"preStopSeconds": 0}}, "/shutdown/preStopSeconds"),
        ({"networkPolicy": {"dicomFrom": ["192.0.2.10"]}}, "/networkPolicy/dicomFrom/0"),
        ({"storage": {"size": "big"}}, "/storage/size"),
        ({"one": {"resources": {"limit": {"cpu": 1}}}}, "limit"),
    ],
)
def test_the_schema_refuses_what_it_does_not_know(values: dict[str, Any], named: str) -> None:
    """A misspelt value, of the chart or of the service's settings, is refused with its place."""
    with pytest.raises(helm.HelmError, match=named):
        render(values)


def test_the_schema_is_closed_and_whole() -> None:
    """Every object of the schema lists its permitted keys, and every value has a place there."""
    schema = whole_schema()
    open_ones = [place for place, node in _objects(schema, "") if "additionalProperties" not in node]
    assert open_ones == []
    free = [place for place, node in _objects(schema, "") if node["additionalProperties"] is True]
    assert [place for place in free if "Affinity/" not in place] == ["/properties/global"]


def _objects(node: Any, place: str) -> list[tuple[str, Any]]:
    found = [(place, node)] if isinstance(node, dict) and node.get("type") == "object" else []
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return found + [each for key, child in children for each in _objects(child, f"{place}/{key}")]


def test_every_value_is_explained() -> None:
    """Above each value stands a comment about it."""
    lines = (CHART / "values.yaml").read_text().splitlines()
    bare = [
        line
        for above, line in zip(["", *lines], lines, strict=False)
        if line.strip()
        and not line.strip().startswith("#")
        and not above.strip().startswith("#")
        and not _goes_on(line)
    ]
    assert bare == []


def _goes_on(line: str) -> bool:
    """Whether a line belongs to the value above it."""
    return line.strip().startswith(("requests:", "limits:", "- ", "podSelector:"))
