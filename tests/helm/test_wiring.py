"""The rendered objects fit together: who selects whom, who calls whom, and which fields an upgrade keeps."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from tests.helm.chart import CHART, FEATURES, Object, named, objects_of, of_kind, pods, render, with_values

from tetraview.domain.exam import ExamState
from tetraview.telemetry.metrics import Metrics

#: Fields of a StatefulSet that Kubernetes lets nobody change; a Deployment's selector is fixed in the same way.
FIXED = ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates")


def _selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def _selected(objects: list[Object], selector: dict[str, str]) -> list[Object]:
    return [pod for _, pod in pods(objects) if _selects(selector, pod["metadata"]["labels"])]


def _ports(pod: Object) -> dict[str, int]:
    containers = pod["spec"]["containers"]
    return {port["name"]: port["containerPort"] for each in containers for port in each.get("ports", [])}


def _in_each_feature(kind: str) -> Iterator[tuple[list[Object], Object]]:
    for feature in FEATURES:
        objects = objects_of(feature)
        yield from ((objects, found) for found in of_kind(objects, kind))


def test_services_lead_to_one_kind_of_pod() -> None:
    """Each Service selects the pods of exactly one owner, and each of its ports is one of theirs by name."""
    for objects, service in _in_each_feature("Service"):
        (pod,) = _selected(objects, service["spec"]["selector"])
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in _ports(pod), service["metadata"]["name"]


def test_owners_select_their_own_pods_only() -> None:
    """StatefulSets and Deployments select their own template, and no pod of another owner."""
    for kind in ("StatefulSet", "Deployment"):
        for objects, owner in _in_each_feature(kind):
            selected = _selected(objects, owner["spec"]["selector"]["matchLabels"])
            assert selected == [owner["spec"]["template"]]


def test_stateful_sets_have_their_headless_service() -> None:
    """The Service that gives pods their names exists, has no address, and selects them."""
    for objects, owner in _in_each_feature("StatefulSet"):
        service = named(objects, "Service", owner["spec"]["serviceName"])
        assert service["spec"]["clusterIP"] == "None"
        assert _selected(objects, service["spec"]["selector"]) == [owner["spec"]["template"]]


def test_budgets_and_policies_select_pods() -> None:
    """Every disruption budget and network policy selects some pod."""
    for objects, budget in _in_each_feature("PodDisruptionBudget"):
        assert len(_selected(objects, budget["spec"]["selector"]["matchLabels"])) == 1
    for objects, policy in _in_each_feature("NetworkPolicy"):
        assert len(_selected(objects, policy["spec"]["podSelector"]["matchLabels"])) == 1


def test_autoscalers_have_a_target_whose_number_nobody_else_sets() -> None:
    """Every autoscaler names an owner that exists, and that owner asks for no number of its own."""
    for kind in ("HorizontalPodAutoscaler", "ScaledObject"):
        for objects, scaler in _in_each_feature(kind):
            target = scaler["spec"]["scaleTargetRef"]
            assert "replicas" not in named(objects, target["kind"], target["name"])["spec"]
    scaled = objects_of("scaled")
    numbers = {each["metadata"]["name"]: each["spec"]["replicas"] for each in of_kind(scaled, "StatefulSet")}
    assert numbers == {"tetraview-listener": 3, "tetraview-worker": 5}


def test_what_pods_mount_of_ours_exists() -> None:
    """Claims, ConfigMaps and service accounts that pods name are made by the chart, or given by name."""
    for feature in FEATURES:
        objects = objects_of(feature)
        made = {(each["kind"], each["metadata"]["name"]) for each in objects}
        for _, pod in pods(objects):
            assert ("ServiceAccount", pod["spec"]["serviceAccountName"]) in made
            for volume in pod["spec"].get("volumes", []):
                if "configMap" in volume:
                    assert ("ConfigMap", volume["configMap"]["name"]) in made
                claim = volume.get("persistentVolumeClaim", {}).get("claimName")
                assert claim in {None, "mammograms"} or ("PersistentVolumeClaim", claim) in made


def test_certificates_are_put_where_they_are_mounted_from() -> None:
    """The Secret that cert-manager writes is the one that pods mount, for the names by which they are called."""
    objects = objects_of("tls-cert-manager")
    volumes = named(objects, "StatefulSet", "tetraview")["spec"]["template"]["spec"]["volumes"]
    mounted = {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
    certificates = of_kind(objects, "Certificate")
    assert {each["spec"]["secretName"] for each in certificates} == {"tetraview-dicom-tls", "tetraview-web-tls"}
    assert mounted == {"tetraview-dicom-tls", "tetraview-web-tls", "hospital-ca"}
    dicom = named(objects, "Certificate", "tetraview-dicom")
    assert {"mammo-ai.example.org", "tetraview-dicom.imaging.svc"} <= set(dicom["spec"]["dnsNames"])


@pytest.mark.parametrize(
    ("feature", "kind"), [("one-sqlite", "ClusterIP"), ("tls-cert-manager", "NodePort"), ("scaled", "LoadBalancer")]
)
def test_the_address_of_senders_is_kept(feature: str, kind: str) -> None:
    """However DICOM comes in, no node puts its own address in place of the sender's."""
    spec = named(objects_of(feature), "Service", "tetraview-dicom")["spec"]
    assert spec["type"] == kind
    assert spec.get("externalTrafficPolicy") == (None if kind == "ClusterIP" else "Local")


def _policy(feature: str, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = named(objects_of(feature), "NetworkPolicy", name)["spec"]
    return spec


def _peers(rules: list[dict[str, Any]], port: int, side: str) -> list[dict[str, Any]]:
    return [peer for rule in rules if port in [each["port"] for each in rule["ports"]] for peer in rule[side]]


def test_every_pod_that_serves_is_denied_what_is_not_named() -> None:
    """With policies on, each server's pod has one policy for both directions, and every rule names peers and ports."""
    for feature in FEATURES:
        objects = objects_of(feature)
        policies = of_kind(objects, "NetworkPolicy")
        owners = [owner for owner, _ in pods(objects) if not owner.startswith("Pod ")]
        assert len(policies) == (0 if feature in {"network-open", "keda", "hpa"} else len(owners))
        for policy in policies:
            spec = policy["spec"]
            assert spec["policyTypes"] == ["Ingress", "Egress"]
            assert all(rule["from"] and rule["ports"] for rule in spec["ingress"])
            assert all(rule["to"] and rule["ports"] for rule in spec.get("egress", []))


def test_policies_open_ports_that_there_are() -> None:
    """Every port that a policy opens for ingress is a port of a container of those pods."""
    for objects, policy in _in_each_feature("NetworkPolicy"):
        (pod,) = _selected(objects, policy["spec"]["podSelector"]["matchLabels"])
        opened = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        assert opened <= set(_ports(pod).values())


def test_only_senders_may_call_the_dicom_port() -> None:
    """The port is open to the addresses of senders, or to the networks given in their place; workers have none."""
    one = _peers(_policy("one-postgresql", "tetraview")["ingress"], 11112, "from")
    assert [peer["ipBlock"]["cidr"] for peer in one] == ["192.0.2.10/32", "2001:db8::/64"]
    assert all(ip_network(peer["ipBlock"]["cidr"]) for peer in one)
    given = _peers(_policy("network-policy", "tetraview-listener")["ingress"], 11112, "from")
    assert [peer["ipBlock"]["cidr"] for peer in given] == ["192.0.2.0/24", "198.51.100.7/32"]
    assert _peers(_policy("network-policy", "tetraview-worker")["ingress"], 11112, "from") == []
    assert _peers(_policy("triton-external", "tetraview")["ingress"], 11112, "from") == []


def test_only_those_who_read_may_call_triton() -> None:
    """gRPC of Triton is open to the pods that read, its metrics to Prometheus, and it calls nobody."""
    objects = objects_of("network-policy")
    triton = _policy("network-policy", "tetraview-triton")
    (reader,) = _peers(triton["ingress"], 8001, "from")
    (pod,) = _selected(objects, reader["podSelector"]["matchLabels"])
    assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == "worker"
    assert len(_peers(triton["ingress"], 8002, "from")) == 1
    assert "egress" not in triton
    (called,) = _peers(_policy("network-policy", "tetraview-worker")["egress"], 8001, "to")
    assert len(_selected(objects, called["podSelector"]["matchLabels"])) == 1
    assert _peers(_policy("network-policy", "tetraview-listener")["egress"], 8001, "to") == []


def test_destinations_are_let_out_by_their_address() -> None:
    """A destination that is named by its address needs no rule; names are looked up where the values say."""
    egress = _policy("network-policy", "tetraview-worker")["egress"]
    assert _peers(egress, 104, "to") == [{"ipBlock": {"cidr": "192.0.2.10/32"}}]
    assert _peers(egress, 5432, "to") == [{"ipBlock": {"cidr": "192.0.2.20/32"}}]
    assert _peers(egress, 53, "to") == [{"ipBlock": {"cidr": "169.254.20.10/32"}}]


def test_the_test_of_the_release_may_ask() -> None:
    """The pod of `helm test` is let in wherever it asks, and asks every half of the service."""
    for feature in ("one-sqlite", "network-policy"):
        objects = objects_of(feature)
        (test,) = of_kind(objects, "Pod")
        for policy in of_kind(objects, "NetworkPolicy"):
            peers = _peers(policy["spec"]["ingress"], 8080, "from")
            selectors = [peer["podSelector"]["matchLabels"] for peer in peers if "podSelector" in peer]
            let_in = any(_selects(selector, test["metadata"]["labels"]) for selector in selectors)
            assert let_in is ("triton" not in policy["metadata"]["name"])
        services = [url.split("//")[1].split(":")[0] for url in test["spec"]["containers"][0]["args"][1:]]
        owners = [each["spec"]["template"] for each in of_kind(objects, "StatefulSet")]
        asked = [_selected(objects, named(objects, "Service", name)["spec"]["selector"])[0] for name in services]
        assert all(owner in asked for owner in owners)


def test_monitors_find_every_server() -> None:
    """The monitor selects all servers, and each of its ports is one of theirs."""
    objects = objects_of("monitoring")
    (monitor,) = of_kind(objects, "PodMonitor")
    selected = _selected(objects, monitor["spec"]["selector"]["matchLabels"])
    ports = {name for pod in selected for name in _ports(pod)}
    assert {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]} == {"web", "metrics"} <= ports


HELM_README = (Path(__file__).parents[2] / "helm/README.md").read_text()


def test_autoscalers_ask_for_metrics_that_there_are() -> None:
    """Workers are scaled by metrics that the service shows; the README defines their sum for a metrics adapter."""
    registry = CollectorRegistry()
    Metrics(registry)
    shown = {metric.name for metric in registry.collect()}
    (trigger,) = named(objects_of("keda"), "ScaledObject", "tetraview-worker")["spec"]["triggers"]
    asked = set(re.findall(r"tetraview_\w+(?=[{])", trigger["metadata"]["query"]))
    (metric,) = named(objects_of("hpa"), "HorizontalPodAutoscaler", "tetraview-worker")["spec"]["metrics"]
    assert asked == {"tetraview_exams_waiting", "tetraview_exams"}
    assert asked <= shown
    name = metric["external"]["metric"]["name"]
    assert f'`max(tetraview_exams_waiting) + max(tetraview_exams{{state="reading"}})` as `{name}`' in HELM_README
    assert f'state="{ExamState.READING}"' in trigger["metadata"]["query"]


def test_rules_and_dashboards_are_those_of_the_chart() -> None:
    """Prometheus and Grafana get the contents of the files, to the last brace."""
    objects = objects_of("monitoring")
    (rules,) = of_kind(objects, "PrometheusRule")
    assert rules["spec"] == yaml.safe_load((CHART / "files" / "rules.yaml").read_text())
    dashboards = named(objects, "ConfigMap", "tetraview-dashboards")
    assert dashboards["metadata"]["labels"]["grafana_dashboard"] == "1"
    files = {path.name: path.read_text() for path in (CHART / "files" / "dashboards").glob("*.json")}
    assert files
    assert dashboards["data"] == files


@pytest.mark.parametrize("feature", ["one-sqlite", "scaled", "triton-gpu"])
def test_an_upgrade_changes_nothing_that_is_fixed(feature: str, tmp_path: Path) -> None:
    """Another version of the chart, other settings and other images leave the fixed fields of Kubernetes alone."""
    newer = tmp_path / "tetraview"
    shutil.copytree(CHART, newer)
    chart = (newer / "Chart.yaml").read_text()
    (newer / "Chart.yaml").write_text(chart.replace("0.1.0", "0.2.0"))
    values = with_values(
        feature,
        settings__log_level="debug",
        image={"tag": "0.2.0"},
        worker={"replicas": 7, "nodeSelector": {"a": "b"}},
        one={"podAnnotations": {"a": "b"}},
        web={"service": {"port": 80}},
    )
    before, after = objects_of(feature), render(values, chart=newer)
    for kind in ("StatefulSet", "Deployment"):
        owners = of_kind(after, kind)
        assert len(owners) == len(of_kind(before, kind))
        for owner in owners:
            old = named(before, kind, owner["metadata"]["name"])
            assert {key: owner["spec"].get(key) for key in FIXED} == {key: old["spec"].get(key) for key in FIXED}
            assert owner["spec"]["template"] != old["spec"]["template"]
