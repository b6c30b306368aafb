"""Values that contradict each other stop the installation with one sentence."""

from __future__ import annotations

from typing import Any

import helm_python as helm
import pytest
from tests.helm.chart import FEATURES, render, values_of, with_values

CONTRADICTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("scaled", {"database__secretName": ""}, "set database.secretName to a Secret"),
    ("scaled", {"storage__accessMode": "ReadWriteOnce"}, "set storage.accessMode to ReadWriteMany"),
    ("scaled", {"storage__accessMode": "ReadWriteOncePod"}, "set storage.accessMode to ReadWriteMany"),
    ("one-sqlite", {"worker__autoscaling": {"mode": "keda", "prometheus": "http://p"}}, "topology one is a single pod"),
    ("one-sqlite", {"listener__autoscaling": {"enabled": True}}, "topology one is a single pod"),
    ("keda", {"worker__autoscaling__prometheus": ""}, "needs worker.autoscaling.prometheus"),
    ("keda", {"worker__autoscaling__minReplicas": 50}, "minReplicas is larger than autoscaling.maxReplicas"),
    ("worklist", {"listener__replicas": 2}, "performed by one listener only"),
    ("worklist", {"listener__autoscaling": {"enabled": True}}, "performed by one listener only"),
    ("tls-cert-manager", {"dicom__tls__secretName": "own"}, "dicom.tls has two certificates"),
    ("tls-cert-manager", {"web__tls__secretName": "own"}, "web.tls has two certificates"),
    ("tls-cert-manager", {"dicom__tls__certManager": {"enabled": True}}, "needs issuerRef.name"),
    ("one-sqlite", {"dicom__tls": {"trustedSecretName": "ca"}}, "trustedSecretName is used with TLS only"),
    ("one-sqlite", {"shutdown__graceSeconds": 60}, "60 is shorter than the 110 seconds that a pod of one needs"),
    ("scaled", {"shutdown__graceSeconds": 70}, "shorter than the 80 seconds that a pod of worker needs"),
    ("one-sqlite", {"triton__url": "triton:8001"}, "set triton.mode to external"),
    ("triton-external", {"triton__url": ""}, "needs triton.url"),
    ("scaled", {"settings__senders": []}, "LoadBalancer lets nobody in without settings.senders"),
    ("one-sqlite", {"dicom__service": {"nodePort": 31112}}, "has neither node port nor load balancer"),
    ("ingress", {"web__ingress__loginInFront": False}, "put one in front of the Ingress"),
    ("ingress", {"web__ingress__host": ""}, "web.ingress needs host"),
    ("one-postgresql", {"networkPolicy__egress": []}, "lets nothing out to PostgreSQL"),
    ("network-open", {"networkPolicy__enabled": True}, "lets nothing out to the destination pacs"),
    ("ingress", {"networkPolicy__webFrom": []}, "lets no Ingress in"),
    ("monitoring", {"networkPolicy__webFrom": []}, "lets no Prometheus in"),
    ("triton-external", {"networkPolicy__egress": []}, "lets nothing out to Triton"),
    ("tls-secret", {"secrets": ["pacs-tls"]}, "Secret archive: add it to secrets"),
    ("one-sqlite", {"settings__role": "worker"}, "settings.role is set by the chart: remove it, and use topology"),
    ("one-sqlite", {"settings__executor_id": "me"}, "settings.executor_id is set by the chart"),
    ("one-sqlite", {"settings__data_dir": "/data"}, "settings.data_dir is set by the chart"),
    ("one-sqlite", {"settings__database_url": "postgresql+psycopg://u:p@h/d"}, "no password is among values"),
    ("one-sqlite", {"settings__database_url_file": "/x"}, "settings.database_url_file is set by the chart"),
    ("one-sqlite", {"settings__dicom": {"port": 104}}, "settings.dicom.port is set by the chart"),
    ("one-sqlite", {"settings__web": {"host": "127.0.0.1"}}, "settings.web.host is set by the chart"),
    ("one-sqlite", {"settings__triton": {"url": "t:8001"}}, "settings.triton.url is set by the chart"),
]


@pytest.mark.parametrize(
    ("feature", "changes", "sentence"), CONTRADICTIONS, ids=[each[2][:40] for each in CONTRADICTIONS]
)
def test_a_contradiction_stops_the_installation(feature: str, changes: dict[str, Any], sentence: str) -> None:
    """Values that cannot work together are refused at installation, with advice on how to mend them."""
    with pytest.raises(helm.HelmError) as raised:
        render(with_values(feature, **changes))
    assert sentence in str(raised.value)


def test_features_themselves_do_not_contradict() -> None:
    """Each contradiction starts from valid values."""
    for feature in FEATURES:
        assert render(values_of(feature))
