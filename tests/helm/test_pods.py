"""Rules that every pod keeps."""

from __future__ import annotations

from typing import Any

import helm_python as helm
import pytest
from tests.helm.chart import CHART, FEATURES, Object, named, objects_of, of_kind, pods, render, with_values

ALL = [(feature, owner, pod) for feature in FEATURES for owner, pod in pods(objects_of(feature))]
CONTAINERS = [(feature, owner, container) for feature, owner, pod in ALL for container in pod["spec"]["containers"]]
#: Containers that serve, without those of the release's test.
SERVERS = [found for found in CONTAINERS if not found[1].startswith("Pod ")]
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def _service(objects: list[Object], name: str) -> dict[str, Any]:
    container: dict[str, Any] = named(objects, "StatefulSet", name)["spec"]["template"]["spec"]["containers"][0]
    return container


def test_pods_have_no_rights() -> None:
    """No pod is root or has a token of Kubernetes; all are confined by the runtime's seccomp profile."""
    for feature, owner, pod in ALL:
        spec, security = pod["spec"], pod["spec"]["securityContext"]
        assert spec["automountServiceAccountToken"] is False, (feature, owner)
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] == 65532
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers", "hostUsers"} & spec.keys()


def test_containers_have_no_rights() -> None:
    """No container can write to its image, gain privileges or has a capability."""
    for feature, owner, container in CONTAINERS:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, (feature, owner)


def test_containers_have_bounds() -> None:
    """Every container requests CPU, memory and scratch space and has limits, and so do the folders of a pod."""
    for feature, owner, container in CONTAINERS:
        for bound in ("requests", "limits"):
            assert {"cpu", "memory", "ephemeral-storage"} <= container["resources"][bound].keys(), (feature, owner)
    volumes = [volume for _, _, pod in ALL for volume in pod["spec"].get("volumes", [])]
    assert all(volume["emptyDir"]["sizeLimit"] for volume in volumes if "emptyDir" in volume)
    assert not any("hostPath" in volume for volume in volumes)


def test_volumes_and_mounts_belong_together() -> None:
    """A container mounts volumes that exist, none of them inside of another, which may be read-only."""
    for feature, owner, pod in ALL:
        claims = [
            claim["metadata"]["name"]
            for found in of_kind(objects_of(feature), "StatefulSet")
            for claim in found["spec"].get("volumeClaimTemplates", [])
            if f"StatefulSet {found['metadata']['name']}" == owner
        ]
        volumes = [volume["name"] for volume in pod["spec"].get("volumes", [])] + claims
        mounts = [mount for container in pod["spec"]["containers"] for mount in container.get("volumeMounts", [])]
        assert {mount["name"] for mount in mounts} == set(volumes), (feature, owner)
        assert len(set(volumes)) == len(volumes)
        for container in pod["spec"]["containers"]:
            paths = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
            assert not [(a, b) for a in paths for b in paths if b.startswith(f"{a}/")]


def test_secrets_are_files_that_only_we_can_read() -> None:
    """Secrets are mounted for owner and group only, never put into the environment."""
    for _, _, pod in ALL:
        for volume in pod["spec"].get("volumes", []):
            assert volume.get("secret", {}).get("defaultMode", 0o440) == 0o440
    environment = [variable for _, _, container in CONTAINERS for variable in container.get("env", [])]
    assert not any("secretKeyRef" in str(variable) for variable in environment)
    assert not any("envFrom" in container for _, _, container in CONTAINERS)


def test_probes_do_not_touch_the_dicom_port() -> None:
    """The service is asked for its health on the web port only; every server has all three probes."""
    for feature, owner, container in SERVERS:
        probes = {name: container[name] for name in PROBES}
        for probe in probes.values():
            assert not {"tcpSocket", "exec"} & probe.keys(), (feature, owner)
        if container["name"] == "service":
            assert [probes[name]["httpGet"]["path"] for name in PROBES] == ["/livez", "/livez", "/readyz"]
            assert {probe["httpGet"]["port"] for probe in probes.values()} == {"web"}


@pytest.mark.parametrize(("feature", "scheme"), [("one-sqlite", "HTTP"), ("tls-secret", "HTTPS")])
def test_probes_speak_as_the_pages_do(feature: str, scheme: str) -> None:
    """Where the pages have a certificate, the probes use TLS too."""
    container = _service(objects_of(feature), "tetraview")
    assert {container[name]["httpGet"]["scheme"] for name in PROBES} == {scheme}


def test_ports_name_their_protocol() -> None:
    """Every port of a container or Service says that it is TCP, by which server-side apply tells ports apart."""
    for feature in FEATURES:
        for service in of_kind(objects_of(feature), "Service"):
            assert {port["protocol"] for port in service["spec"]["ports"]} == {"TCP"}
    assert {port.get("protocol") for _, _, container in SERVERS for port in container["ports"]} == {"TCP"}


def test_each_replica_has_a_name_that_stays() -> None:
    """Listeners and workers get their executor's name from their pod, and StatefulSets keep those names."""
    objects = objects_of("scaled")
    for name, role in (("tetraview-listener", "listener"), ("tetraview-worker", "worker")):
        environment = {variable["name"]: variable for variable in _service(objects, name)["env"]}
        assert environment["TETRAVIEW_ROLE"]["value"] == role
        field = environment["TETRAVIEW_EXECUTOR_ID"]["valueFrom"]["fieldRef"]["fieldPath"]
        assert field == "metadata.name"


def test_only_those_that_receive_have_a_dicom_port() -> None:
    """A worker opens no DICOM port."""
    objects = objects_of("scaled")
    ports = {
        name: [port["name"] for port in _service(objects, f"tetraview-{name}")["ports"]]
        for name in ("listener", "worker")
    }
    assert ports == {"listener": ["dicom", "web"], "worker": ["web"]}


@pytest.mark.parametrize(
    ("topology", "drain", "deadline", "grace"),
    [("one", 30, 60, {"tetraview": 110}), ("scaled", 240.5, 20, {"tetraview-listener": 261, "tetraview-worker": 40})],
)
def test_pods_have_time_to_end(topology: str, drain: float, deadline: float, grace: dict[str, int]) -> None:
    """The grace period covers the pause, the longest transfer and the longest step, each where it occurs."""
    values = with_values(
        "one-sqlite" if topology == "one" else "scaled",
        settings__dicom={"drain_seconds": drain},
        settings__triton={"deadline_seconds": deadline},
    )
    found = of_kind(render(values), "StatefulSet")
    assert {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] for each in found
    } == grace


def test_triton_outlives_those_who_ask_it() -> None:
    """When a pod ends, Triton beside the service is told later, because the service still asks it until then."""
    pod = named(objects_of("one-sqlite"), "StatefulSet", "tetraview")["spec"]["template"]["spec"]
    service, triton = (float(each["lifecycle"]["preStop"]["exec"]["command"][1]) for each in pod["containers"])
    assert pod["terminationGracePeriodSeconds"] > triton > service


@pytest.mark.parametrize(
    ("feature", "owner", "resource"),
    [
        ("triton-gpu", "Deployment tetraview-triton", "nvidia.com/gpu.shared"),
        ("triton-mig", "StatefulSet tetraview-worker", "nvidia.com/mig-1g.10gb"),
    ],
)
def test_triton_gets_the_gpu(feature: str, owner: str, resource: str) -> None:
    """Only Triton requests a whole, shared or sliced GPU."""
    asking = [
        (found[1], found[2]["name"])
        for found in CONTAINERS
        if found[0] == feature and resource in found[2]["resources"]["limits"]
    ]
    assert asking == [(owner, "triton")]
    (triton,) = [found[2] for found in CONTAINERS if found[:2] == (feature, owner) and found[2]["name"] == "triton"]
    assert triton["resources"]["limits"][resource] == triton["resources"]["requests"][resource] == "1"
    assert "--allow-gpu-metrics=true" in triton["args"]


def test_triton_takes_no_more_threads_than_cores() -> None:
    """The threads of the models follow the limit of the container, not the cores of the node."""
    for _, _, container in SERVERS:
        if container["name"] == "triton":
            environment = {each["name"]: each for each in container["env"]}
            assert environment["OMP_NUM_THREADS"]["valueFrom"]["resourceFieldRef"]["resource"] == "limits.cpu"
            assert environment["OMP_WAIT_POLICY"]["value"] == "PASSIVE"


def test_sidecars_are_asked_on_loopback_only() -> None:
    """Triton beside a worker opens gRPC to that pod only; in a pod of its own, to all that its policy lets in."""
    for feature, owner, container in SERVERS:
        if container["name"] == "triton":
            alone = owner.startswith("Deployment")
            assert (f"--grpc-address={'0.0.0.0' if alone else '127.0.0.1'}" in container["args"]) is True, feature
            assert ("grpc" in [port["name"] for port in container["ports"]]) is alone
            assert {"--model-control-mode=none", "--allow-http=false"} <= set(container["args"])
            assert {"name": "triton-shm", "mountPath": "/dev/shm"} in container["volumeMounts"]


def test_images_go_by_digest_where_one_is_given() -> None:
    """A digest wins over a tag; without either the image has the chart's own version."""
    assert _service(objects_of("placement"), "tetraview-mammo")["image"].endswith("@sha256:" + "0123456789abcdef" * 4)
    with helm.Chart.load(CHART) as chart:
        version = chart.metadata["appVersion"]
    assert _service(objects_of("scaled"), "tetraview-worker")["image"] == f"tetraview/service:{version}"


def test_pods_go_where_they_are_wanted() -> None:
    """Selectors, tolerations, affinity, class and secrets of registries reach the pod."""
    template = named(objects_of("placement"), "StatefulSet", "tetraview-mammo")["spec"]["template"]
    spec = template["spec"]
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    assert spec["tolerations"][0]["key"] == "dedicated"
    assert "nodeAffinity" in spec["affinity"]
    assert spec["priorityClassName"] == "imaging"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["terminationGracePeriodSeconds"] == 600
    assert template["metadata"]["annotations"]["example.org/team"] == "imaging"
