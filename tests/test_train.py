"""The command, as processes that are killed, stopped, misconfigured and short of disk space."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from fer_jax import command, evaluate, train
from fer_jax.data.synthetic import load_synthetic
from fer_jax.expressions import EXPRESSIONS
from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.machine.files import read_rows
from fer_jax.saved_model import digest, load_model
from fer_jax.training.workdir import locked
from tests.training.saving import until_saved

ROOT = Path(__file__).resolve().parents[1]
SHORT = (
    "--config.epochs=6",
    "--config.batch_size=16",
    "--config.eval_batch_size=32",
    "--config.data.name=synthetic",
    "--config.data.synthetic_train=90",
    "--config.data.synthetic_validation=32",
    "--config.devices=2",
    "--config.resolution.start=40",  # each size is compiled separately
    "--config.model.name=tiny",
    "--config.optim.name=adamw",  # compiles faster than muon
)
pytestmark = pytest.mark.usefixtures("tiny_network")


def line(workdir: Path, *more: str) -> list[str]:
    return ["--config", str(ROOT / "configs/base.py"), "--workdir", str(workdir), *SHORT, *more]


def start(workdir: Path, *more: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "tests.training.tiny_command", *line(workdir, *more)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def until(process: subprocess.Popen, text: str) -> str:
    """Reads the process's output up to a line with `text`."""
    said = ""
    for row in process.stdout:
        said += row
        if text in row:
            return said
    raise AssertionError(f"{text!r} was never printed:\n{said}")


def final_state(workdir: Path) -> dict[str, np.ndarray]:
    steps = sorted(int(p.name) for p in (workdir / "checkpoints").iterdir() if p.name.isdigit())
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
        folder = (workdir / "checkpoints" / str(steps[-1]) / "state").absolute()
        tree = reader.restore(folder)
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {str(path): np.asarray(leaf) for path, leaf in leaves}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    process = start(workdir)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    return workdir


def test_a_killed_and_a_stopped_run_end_bit_identical_to_one_never_stopped(uninterrupted, tmp_path):
    workdir = tmp_path / "broken"
    process = start(workdir)
    until(process, "epoch   1/6")
    until_saved(workdir)
    process.kill()  # in another epoch, or while its checkpoint is being written
    process.communicate()

    process = start(workdir)
    until(process, "resumed at step")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)  # like make and timeout do
    said, _ = process.communicate(timeout=240)
    assert "stopped at step" in said
    assert process.returncode == 128 + signal.SIGTERM

    process = start(workdir)
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert "resumed at step" in said

    whole, broken = final_state(uninterrupted), final_state(workdir)
    assert whole.keys() == broken.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(broken[name], array, err_msg=name)
    for name in ("history.jsonl", "report.json", "config.json"):
        assert (workdir / name).read_bytes() == (uninterrupted / name).read_bytes(), name


def test_a_run_leaves_report_card_checkpoint_and_plots(uninterrupted):
    report = json.loads((uninterrupted / "report.json").read_text())
    keys = {"split", "count", "accuracy", "accuracy_interval", "uar", "macro_f1", "loss", "ece"}
    keys |= {"per_class", "confusion"}
    assert keys <= report.keys()
    assert keys <= report["flip"].keys()
    assert (report["split"], report["count"]) == ("validation", 32)
    card = json.loads((uninterrupted / "card.json").read_text())
    assert card["dataset"]["name"] == "synthetic"
    assert card["parameters"] == 5_287
    assert "python -m fer_jax.train" in card["command"]
    best = load_model(uninterrupted)
    assert card["digest"] == digest(best.variables)
    rows = [json.loads(row) for row in (uninterrupted / "history.jsonl").read_text().splitlines()]
    grown = [row for row in rows if row["face_size"] == FACE_SIZE]  # only they can be compared
    losses = [row["validation_loss"] for row in grown]
    assert best.step == grown[int(np.argmin(losses))]["step"]
    assert report["loss"] == pytest.approx(min(losses), rel=1e-4)
    for name in ("history.png", "confusion.png", "reliability.png"):
        assert (uninterrupted / name).read_bytes().startswith(b"\x89PNG")


def test_a_finished_run_started_again_trains_nothing_and_reports_the_same(uninterrupted, capsys):
    before = (uninterrupted / "report.json").read_bytes()
    assert command.run(train.main, line(uninterrupted)) == 0
    assert "epoch   6/6" not in capsys.readouterr().out
    assert (uninterrupted / "report.json").read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        "--config.model.name=resnet_large",
        "--config.batch_size=32",
        "--config.data.synthetic_train=64",
        "--config.optim.learning_rate=0.5",
    ],
)
def test_a_workdir_of_another_run_is_refused_by_name(uninterrupted, capsys, change):
    assert command.run(train.main, line(uninterrupted, change)) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert str(uninterrupted) in said
    assert "--noresume" in said


def test_a_mistake_together_with_noresume_leaves_the_earlier_run_alone(
    uninterrupted, tmp_path, capsys
):
    gone = f"--config.data.dir={tmp_path / 'gone'}"
    argv = line(uninterrupted, "--noresume", "--config.data.name=auto", gone)
    assert command.run(train.main, argv) == 2
    assert "gone" in capsys.readouterr().err
    assert load_model(uninterrupted).step > 0


def test_a_workdir_in_use_is_refused_with_its_owner(uninterrupted, capsys):
    with locked(uninterrupted):
        assert command.run(train.main, line(uninterrupted)) == 2
    assert f"in use by another run (process {os.getpid()})" in capsys.readouterr().err


def test_starting_over_deletes_the_earlier_run(uninterrupted, tmp_path):
    workdir = Path(shutil.copytree(uninterrupted, tmp_path / "again"))
    process = start(workdir, "--noresume")
    said = until(process, "epoch   1/6")
    process.kill()
    process.communicate()
    assert "resumed" not in said
    assert len(read_rows(workdir / "history.jsonl")) < 3
    assert not (workdir / "report.json").exists()


@pytest.mark.parametrize("spoil", ["empty", "missing"])
def test_named_data_is_never_replaced_by_synthetic_faces(tmp_path, capsys, spoil):
    data = tmp_path / "faces"
    if spoil == "empty":
        data.mkdir()
    argv = ["--config", str(ROOT / "configs/base.py"), "--workdir", str(tmp_path / "w")]
    assert command.run(train.main, [*argv, f"--config.data.dir={data}"]) == 2
    captured = capsys.readouterr()
    assert str(data) in captured.err
    assert len(captured.err.splitlines()) == 1
    assert "SYNTHETIC" not in captured.out
    assert not (tmp_path / "w" / "config.json").exists()


@contextlib.contextmanager
def small_disk(folder: Path, *, kilobytes: int):
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this machine does not let a test mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_in_one_line_and_leaves_nothing_half_written(tmp_path):
    with small_disk(tmp_path / "disk", kilobytes=1100):  # too few for a checkpoint
        process = start(tmp_path / "disk" / "run")
        said, _ = process.communicate(timeout=240)
        left = list((tmp_path / "disk" / "run").glob("*"))
        whole = [p for p in (tmp_path / "disk/run/checkpoints").glob("*") if p.name.isdigit()]
    assert process.returncode == 2, said
    assert "the disk is full" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert not [path for path in left if path.name.endswith(".partial")]
    assert not whole


def test_evaluating_a_split_agrees_with_the_run_and_prints_both_figures(
    uninterrupted, tmp_path, capsys
):
    faces = load_synthetic(seed=0, counts={"train": 90, "validation": 32}).splits["validation"]
    for k, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
        folder = tmp_path / "data/validation" / EXPRESSIONS[label]
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{k}.png"), image)
    out = tmp_path / "out"
    argv = ["--checkpoint", str(uninterrupted), "--data", str(tmp_path / "data")]
    assert command.run(evaluate.main, [*argv, "--split", "validation", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "single crop" in said
    assert "flip-averaged" in said
    report, run = (
        json.loads((folder / "report.json").read_text()) for folder in (out, uninterrupted)
    )
    assert report["confusion"] == run["confusion"]
    assert report["flip"]["loss"] == pytest.approx(run["flip"]["loss"], rel=1e-4)

    assert command.run(evaluate.main, [*argv, "--split", "test"]) == 2
    assert "has no test split" in capsys.readouterr().err


def test_evaluating_without_a_checkpoint_is_refused(tmp_path, capsys):
    argv = ["--checkpoint", str(tmp_path), "--data", str(tmp_path)]
    assert command.run(evaluate.main, argv) == 2
    assert "holds no checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize("named", ["nowhere.py", "./"])
def test_a_missing_configuration_is_reported_as_missing(capsys, named):
    assert command.run(train.main, ["--config", named]) == 2
    assert capsys.readouterr().err.startswith(f"error: --config {named}: no such file; ")
