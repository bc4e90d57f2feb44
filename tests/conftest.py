"""Before any test: eight simulated devices, and caches of the tests' own."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)
assert jax.device_count() == 8  # from here on no command that a test runs can change their number
cv2.setNumThreads(1)


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared datasets and compiled programs go to a folder of the test session's own.

    Processes that tests start inherit it, so that the same network is compiled once for all of them.
    """
    folder = tmp_path_factory.mktemp("cache")
    os.environ["FER_CACHE_DIR"] = str(folder)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder / "xla")
    jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
    os.environ.pop("FER_DATA_DIR", None)
    return folder
