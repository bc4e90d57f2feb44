"""Before any test: eight simulated devices, checked array shapes, and private caches."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import jax
import numpy as np
import pytest
from jaxtyping import install_import_hook

from tests import type_checks
from tests.shared_files import shared_file

# Modules whose annotations give the shapes of arrays; every call checks them, traced calls too. The
# other modules of these packages check user input themselves, or hold trees of abstract arrays.
CHECKED = [
    "fer_jax.models",
    "fer_jax.data.in_memory",
    "fer_jax.evaluation",
    *(f"fer_jax.inference.{name}" for name in ("network", "grad_cam", "explanation", "prediction")),
    *(f"fer_jax.training.{name}" for name in ("plan", "program", "steps", "losses", "optim")),
    *(f"fer_jax.training.{name}" for name in ("distillation", "finishing", "resolution")),
    *(f"fer_jax.training.device_{name}" for name in ("augment", "degradations", "epoch")),
]
install_import_hook(CHECKED, f"{type_checks.__name__}.checked")

if TYPE_CHECKING:
    from fer_jax.data.records import Reading
    from fer_jax.data.sources import FaceSource

# Tests compile much and compute little; child processes inherit this.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
jax.config.update("jax_num_cpu_devices", 8)
assert jax.device_count() == 8  # from here on no command under test can change their number
cv2.setNumThreads(1)


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keeps prepared datasets and compiled programs in a folder that lasts for the test session.

    Child processes inherit it, and parallel test processes share the compiled programs, so that each is
    compiled once. This includes programs that compile within a second, as all those of a network do,
    which JAX would not cache.
    """
    folder = tmp_path_factory.mktemp("cache")
    os.environ["FER_CACHE_DIR"] = str(folder)
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    shared = tmp_path_factory.getbasetemp() if alone else tmp_path_factory.getbasetemp().parent
    for option, value in (
        ("jax_compilation_cache_dir", str(shared / "xla")),
        ("jax_persistent_cache_min_compile_time_secs", 0.0),
        ("jax_compilation_cache_max_size", 8 << 30),  # with a size limit, JAX locks the folder
    ):
        os.environ[option.upper()] = str(value)
        jax.config.update(option, value)
    os.environ.pop("FER_DATA_DIR", None)
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workdir of a network that is small and knows nothing; do not change it."""
    from tests.small_checkpoint import write_workdir

    folder = tmp_path_factory.mktemp("checkpoint")
    return write_workdir(folder / "run", model__name="seed_cnn")


@pytest.fixture(scope="module")
def tiny_network() -> Iterator[None]:
    """Adds a network called `tiny`, which compiles in a second."""
    from fer_jax import models
    from tests.factories import TINY_NETWORK

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.MODELS, "tiny", TINY_NETWORK)
        yield


@pytest.fixture
def run(checkpoint: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `score` on that network; returns its exit code, what it printed, and its complaints."""
    from fer_jax import command, score

    def run(*arguments: object) -> tuple[int, str, str]:
        line = [*map(str, arguments), "--checkpoint", str(checkpoint), "--batch-size", "4"]
        code = command.run(score.main, line)
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture(scope="session")
def fer2013() -> tuple[FaceSource, Reading]:
    """FER2013 with its votes, read once for all tests; do not change it."""
    from fer_jax.data.sources import find_source

    source = find_source(shared_file("data/fer2013.tar.xz").parent)
    return source, source.read()


@pytest.fixture(scope="session")
def public_test(fer2013: tuple[FaceSource, Reading]) -> np.ndarray:
    """The faces of FER2013's validation split, uint8 [3576, 48, 48]; do not change them."""
    return fer2013[1].splits["validation"].images
