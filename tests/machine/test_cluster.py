"""Runs in several processes, on simulated devices, against the same runs in one."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fer_jax import command, train
from fer_jax.machine.files import read_rows
from fer_jax.saved_model import load_model
from tests.training.saving import until_saved

ROOT = Path(__file__).resolve().parents[2]
# 50 steps; neither training nor validation faces are a multiple of their batch. Muon and AdamW would
# turn the last digits of small gradients into full steps.
RUN = (
    "--config.epochs=3",
    "--config.model.name=tiny",
    "--config.batch_size=16",
    "--config.eval_batch_size=64",
    "--config.data.name=synthetic",
    "--config.data.synthetic_train=262",
    "--config.data.synthetic_validation=37",
    "--config.augment.camera=0.5",
    "--config.resolution.start=48",
    "--config.optim.name=sgd",
    "--config.optim.learning_rate=0.01",
    "--config.optim.reference_batch=0",
    "--config.recalibrate=True",
    "--config.loss.logit_adjustment=0.1",
)
ALONE = "--config.devices=2"


def start(workdir: Path, *more: str) -> subprocess.Popen:
    line = [sys.executable, "-u", "-m", "tests.training.tiny_command", "--out", str(workdir)]
    return subprocess.Popen(
        [*line, *RUN, *more],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def start_two(workdir: Path, *more: str, second: Path | None = None) -> list[subprocess.Popen]:
    """Two processes of four devices each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    together = ("--config.devices=8", "--coordinator", address, "--processes", "2", *more)
    folders = workdir, second or workdir
    return [start(folder, *together, "--process-id", str(k)) for k, folder in enumerate(folders)]


def ended(*processes: subprocess.Popen) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of each."""
    said = [process.communicate(timeout=280) for process in processes]
    return [(p.returncode, *texts) for p, texts in zip(processes, said, strict=True)]


def printed(output: str) -> list[str]:
    """The output without the lines of the library that connects CPUs."""
    return [line for line in output.splitlines() if not line.startswith("[Gloo]")]


def until(process: subprocess.Popen, text: str) -> None:
    seen = []
    for row in process.stdout:
        seen.append(row)
        if text in row:
            return
    raise AssertionError(f"{text!r} was never printed: {seen} {process.stderr.read()}")


def assert_same_run(one: Path, other: Path) -> None:
    rows, others = (read_rows(folder / "history.jsonl") for folder in (one, other))
    assert len(rows) == len(others) == 3
    for row, same in zip(rows, others, strict=True):
        for name in ("train_loss", "validation_loss", "gradient_norm", "parameter_norm"):
            assert same[name] == pytest.approx(row[name], rel=2e-3), (row["epoch"], name)
    network, same = (load_model(folder, best=False) for folder in (one, other))
    assert network.step == same.step == 50
    flat, flat_same = ([*_leaves(each.variables)] for each in (network, same))
    for leaf, leaf_same in zip(flat, flat_same, strict=True):
        np.testing.assert_allclose(leaf_same, leaf, atol=2e-3)


def _leaves(tree):
    for value in tree.values():
        yield from _leaves(value) if isinstance(value, dict) else [value]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process with one device."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    ((code, _, errors),) = ended(start(workdir, "--config.devices=1"))
    assert code == 0, errors
    return workdir


@pytest.mark.long
def test_eight_devices_train_alike_in_one_process_and_in_two(whole, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    alone, (first, second) = start(one, "--config.devices=8"), start_two(two)
    results = ended(alone, first, second)
    assert [code for code, _, _ in results] == [0, 0, 0], results
    assert_same_run(whole, one)
    assert_same_run(whole, two)
    assert "on 8 cpu device(s)" in results[1][1]
    assert "kept epoch" in results[1][1]
    assert (printed(results[2][1]), results[2][2]) == ([], "")  # only process 0 prints
    assert (two / "card.json").exists()


@pytest.mark.long
@pytest.mark.parametrize(("lost", "processes"), [(0, 2), (1, 1)], ids=["coordinator", "other"])
def test_a_run_that_loses_a_process_ends_in_one_line_and_resumes(whole, tmp_path, lost, processes):
    both = start_two(tmp_path / "run")
    until(both[0], "epoch   2/3")
    until_saved(tmp_path / "run")
    both[lost].kill()
    killed = time.monotonic()
    code, _, errors = ended(*both)[1 - lost]
    assert time.monotonic() - killed < 60
    assert code == 2
    assert errors.count("\n") == 1
    assert "error: another process of this run has ended" in errors
    again = start_two(tmp_path / "run") if processes == 2 else [start(tmp_path / "run", ALONE)]
    results = ended(*again)
    assert [code for code, _, _ in results] == [0] * processes, results
    assert "resumed at step" in results[0][1]
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.long
def test_a_signal_to_one_process_stops_all_at_the_same_step_and_two_go_on(whole, tmp_path):
    first, second = start_two(tmp_path / "run")
    until(first, "epoch   1/3")
    second.send_signal(signal.SIGTERM)
    results = ended(first, second)
    assert [code for code, _, _ in results] == [128 + signal.SIGTERM] * 2, results
    assert "stopped at step" in results[0][1]
    results = ended(*start_two(tmp_path / "run"))
    assert [code for code, _, _ in results] == [0, 0], results
    assert "resumed at step" in results[0][1]
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.long
def test_a_folder_that_only_one_host_sees_is_refused_by_all(tmp_path):
    results = ended(*start_two(tmp_path / "here", second=tmp_path / "there"))
    assert [code for code, _, _ in results] == [2, 2], results
    assert "here: process 1 does not see what process 0 writes there" in results[0][2]
    assert results[0][2].count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--coordinator", "here:1"), "give all three or none"),
        (("--coordinator", "here", "--processes", "2", "--process-id", "0"), "expected HOST:PORT"),
        (
            ("--coordinator", "here:1", "--processes", "2", "--process-id", "2"),
            "a number from 0 to 1",
        ),
    ],
)
def test_incomplete_or_invalid_cluster_flags_are_refused(flags, says, capsys):
    assert command.run(train.main, flags) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        (
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "1"},
            "pip install kubernetes on every host, or start every process with --coordinator",
        ),
        (
            {"JAX_FORCE_TPU_INIT": "1", "TPU_WORKER_HOSTNAMES": "localhost,localhost"},
            "pip install requests on every host, or start every process with --coordinator",
        ),
        (
            {"OMPI_MCA_orte_hnp_uri": "4096.0;tcp://127.0.0.1:1"},
            "(KeyError: 'OMPI_COMM_WORLD_SIZE')",
        ),
    ],
    ids=["Kubernetes", "TPU pod", "Open MPI"],
)
def test_a_cluster_half_described_by_the_environment_is_refused_in_one_line(
    environment, says, tmp_path
):
    """In cluster environments that JAX recognises, without the packages that JAX queries them with."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules |= dict.fromkeys(('kubernetes', 'requests'))\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    told = subprocess.run(
        [sys.executable, "-m", "fer_jax.train", "--out", str(tmp_path / "run"), *RUN[3:]],
        cwd=ROOT,
        env={**os.environ, **environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stdout) == (2, "")
    assert re.fullmatch(f"error: .*{re.escape(says)}.*--process-id.*\n", told.stderr), told.stderr
