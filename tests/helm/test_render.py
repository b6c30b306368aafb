"""Helm, Kubernetes and the operators accept the objects that the chart renders."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
from jsonschema import Draft202012Validator
from kubernetes_validate import utils as kubernetes
from referencing import Registry, Resource
from tests.helm.chart import (
    CHART,
    CUSTOM,
    FEATURES,
    NAMESPACE,
    RELEASE,
    Object,
    documents,
    objects_of,
    of_kind,
    pods,
    read,
    values_of,
)
from tests.support.servers import missing

KUBERNETES = [f"1.{minor}" for minor in range(27, 35)]
MODELS = CHART.parents[1] / ".viewers" / "kubernetes-models"


@cache
def _definitions(version: str) -> Any:
    path = f"kubernetes-json-schema/v{version}.0-local-strict/_definitions.json"
    return Resource.from_contents(kubernetes.schema_contents(path, version)) @ Registry()


@cache
def _validator(version: str, api_version: str, kind: str) -> Any:
    """A validator for one kind in one version of Kubernetes, which refuses every unknown key."""
    group, _, api = api_version.rpartition("/")
    name = "-".join(filter(None, (kind.lower(), group.split(".")[0], api)))
    path = f"kubernetes-json-schema/v{version}.0-local-strict/{name}.json"
    return Draft202012Validator(kubernetes.schema_contents(path, version), registry=_definitions(version))


def _faults(found: Object, version: str) -> list[str]:
    validator = _validator(version, found["apiVersion"], found["kind"])
    return [f"{found['kind']} {error.json_path}: {error.message[:200]}" for error in validator.iter_errors(found)]


def _model_faults(objects: list[Object]) -> list[str]:
    if not MODELS.is_dir() or not shutil.which("node"):
        missing("models of custom resources (deploy/viewers-setup)")
    command = ["node", str(CHART.parents[1] / "tests" / "helm" / "models.mjs"), str(MODELS)]
    ran = subprocess.run(command, input=json.dumps(objects), capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    said: list[str] = json.loads(ran.stdout)
    assert len(said) == len(objects)
    return said


@pytest.mark.parametrize("feature", FEATURES)
def test_helm_finds_nothing_to_complain_about(feature: str) -> None:
    """Helm's strict lint has neither error nor warning for the values of any feature."""
    report = helm.lint(CHART, values_of(feature), strict=True, kube_version="v1.31.0", namespace=NAMESPACE)
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] > 1] == []


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_knows_every_key(version: str) -> None:
    """For every feature, the version of Kubernetes knows all rendered objects to the last key."""
    texts = {json.dumps(found) for feature in FEATURES for found in objects_of(feature) if found["kind"] not in CUSTOM}
    assert [fault for text in texts for fault in _faults(json.loads(text), version)] == []


def test_kubernetes_would_notice_a_key_that_is_misspelt() -> None:
    """The schemas are strict: a wrong key or type in a pod is found."""
    for found in objects_of("one-sqlite"):
        if found["kind"] == "StatefulSet":
            found["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
            found["spec"]["replicas"] = "one"
            assert len(_faults(found, "1.31")) == 2


def test_operators_know_their_resources() -> None:
    """Certificates, monitors, rules and scaled objects match their operators' models."""
    objects = [found for feature in FEATURES for found in objects_of(feature) if found["kind"] in CUSTOM]
    assert {found["kind"] for found in objects} == CUSTOM
    assert [fault for fault in _model_faults(objects) if fault] == []


def test_operators_would_notice_a_fault() -> None:
    """A certificate without issuer, a monitor without endpoints and a trigger without kind are found."""
    (certificate, *_) = of_kind(objects_of("tls-cert-manager"), "Certificate")
    (monitor,) = of_kind(objects_of("monitoring"), "PodMonitor")
    (scaled,) = of_kind(objects_of("keda"), "ScaledObject")
    del certificate["spec"]["issuerRef"]
    monitor["spec"]["podMetricsEndpoints"] = "web"
    del scaled["spec"]["triggers"][0]["type"]
    assert all(_model_faults([certificate, monitor, scaled]))


@pytest.mark.parametrize("feature", FEATURES)
def test_an_installation_can_be_tried_without_a_cluster(feature: str) -> None:
    """`helm install --dry-run=client` makes a manifest, and notes that tell where exams go and the limits of use."""
    with helm.Config(namespace=NAMESPACE, storage_driver="memory") as config:
        release = config.install(str(CHART), RELEASE, values_of(feature), dry_run="client")
    assert len(read(release["manifest"])) >= 6
    notes = release["notes"]
    assert values_of(feature).get("settings", {}).get("dicom", {}).get("ae_title", "TETRAVIEW") in notes
    assert "not for clinical use" in notes
    assert "port-forward" in notes
    assert "{{" not in notes
    assert "<no value>" not in notes


def test_notes_tell_how_to_reach_the_load_balancer() -> None:
    """With a load balancer, the notes tell how to ask for its address and which port to give to the PACS."""
    notes = documents(values_of("scaled"))["NOTES.txt"]
    assert "MAMMO_AI, MAMMO_YOLO" in notes
    assert "get service tetraview-dicom --output jsonpath='{.status.loadBalancer.ingress[0]}'" in notes
    assert re.search(r"^  port +104$", notes, re.MULTILINE)


def test_notes_say_when_nobody_may_send() -> None:
    """The notes point out missing senders or destinations."""
    notes = documents({})["NOTES.txt"]
    assert "NOBODY is let in" in notes
    assert "Results go NOWHERE" in notes


def test_each_template_is_one_object() -> None:
    """A template renders one object or none, so that a file is found by what it makes."""
    for feature in FEATURES:
        for path, text in documents(values_of(feature)).items():
            if path != "NOTES.txt":
                assert len(read(text)) == 1, (feature, path)


def test_every_template_is_tried() -> None:
    """The files of features together render every template."""
    rendered = {path for feature in FEATURES for path in documents(values_of(feature))}
    templates = {str(path.relative_to(CHART / "templates")) for path in (CHART / "templates").rglob("*.yaml")}
    assert rendered == templates | {"NOTES.txt"}


def test_names_are_unique_and_of_the_release() -> None:
    """Two releases in one namespace do not share an object."""
    for feature in FEATURES:
        names = [(found["kind"], found["metadata"]["name"]) for found in objects_of(feature)]
        assert len(set(names)) == len(names)
        assert all(name.startswith(RELEASE) for _, name in names)
        labels = [found["metadata"]["labels"] for found in objects_of(feature)]
        assert {found["app.kubernetes.io/instance"] for found in labels} == {RELEASE}


def test_old_kubernetes_is_refused(tmp_path: Path) -> None:
    """On a cluster older than 1.26 the chart says so, instead of failing later."""
    mirrored = tmp_path / "tetraview"
    shutil.copytree(CHART, mirrored)
    # Without a cluster the engine assumes a new one, so the condition is reversed to see the refusal.
    chart = (mirrored / "Chart.yaml").read_text()
    (mirrored / "Chart.yaml").write_text(chart.replace('">=1.26.0-0"', '"<1.26.0-0"'))
    with (
        helm.Config(namespace=NAMESPACE, storage_driver="memory") as config,
        pytest.raises(helm.HelmError, match=r"requires kubeVersion: <1\.26\.0-0"),
    ):
        config.install(str(mirrored), RELEASE, {}, dry_run="client")


def test_a_feature_has_pods_at_all() -> None:
    """Tests of pods have pods to look at: every feature has the test's pod and at least one other."""
    assert all(len(list(pods(objects_of(feature)))) >= 2 for feature in FEATURES)
