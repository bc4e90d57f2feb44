"""The files in deploy/ are valid and use flags that the server has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.flags import from_arguments

yaml = pytest.importorskip("yaml")
kubernetes_validate = pytest.importorskip("kubernetes_validate")

MANIFEST = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes.yaml"


def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(MANIFEST.read_text()))


def test_kubernetes_accepts_the_manifest() -> None:
    kinds = [document["kind"] for document in documents()]
    assert kinds == ["Deployment", "Service", "Service", "PodDisruptionBudget"]
    for document in documents():
        kubernetes_validate.validate(document, "1.33", strict=True)
    broken = {**documents()[0], "spec": {"replicas": "two"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.33", strict=True)


def test_the_server_takes_the_arguments_and_stops_within_the_grace_period() -> None:
    pod = documents()[0]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {"FER_TOKEN": "correct-horse-battery"}
    settings = from_arguments(["--host", "0.0.0.0", *container["args"]], environment=environment)
    before_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    stops_s = before_s + settings.drain_s + settings.limits.shutdown_s
    assert stops_s < pod["terminationGracePeriodSeconds"]
    probe = container["readinessProbe"]
    assert probe["httpGet"]["path"] == "/readyz"
    assert probe["periodSeconds"] * probe["failureThreshold"] < settings.drain_s
