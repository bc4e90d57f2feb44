"""The command on a small network."""

from __future__ import annotations

from pathlib import Path

import pytest

from fer_jax import command, score
from tests.small_checkpoint import write_workdir


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    return write_workdir(folder / "run", model__name="seed_cnn")


@pytest.fixture
def run(checkpoint, capfd):
    """Runs the command; returns its exit code, output and errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        line = [*map(str, arguments), "--checkpoint", str(checkpoint), "--batch-size", "4"]
        code = command.run(score.main, line)
        said = capfd.readouterr()
        return code, said.out, said.err

    return run
