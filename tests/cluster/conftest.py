"""A small network, a storage that refuses requests, and a cluster of two real node processes."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fer_jax.cluster.worker import Job
from fer_jax.saved_model import load_model


@pytest.fixture
def job(checkpoint: Path, tmp_path: Path) -> Job:
    return Job(
        out=str(tmp_path / "faces.parquet"),
        run="one",
        checkpoint=str(checkpoint),
        digest=load_model(str(checkpoint)).digest,
        detector="yunet",
        detect_size=320,
        every=1,
        fps=None,
        max_pixels=25_000_000,
        batch_size=4,
        safe_csv=False,
        threads=1,
        folder=str(tmp_path),
    )


@pytest.fixture
def store() -> Iterator[Any]:
    """The class `RefusingStore`, empty."""
    pytest.importorskip("fsspec")
    from tests.cluster.refusing_store import refusing_store

    with refusing_store() as store:
        yield store


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The cluster; its attribute `other` is the node that may be killed."""
    pytest.importorskip("ray", reason='needs Ray: pip install "fer_jax[ray]"')
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # loopback only
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.other = cluster.add_node(**node)
    yield cluster
    cluster.shutdown()
    gc.collect()  # its warnings appear here
