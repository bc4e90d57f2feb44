"""What ships inside the package: a finished run's best weights with their card.

The card states their origin, accuracy, speed, calibration and digest.
"""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path, PurePath
from typing import Any

import orbax.checkpoint as ocp

from fer_jax.errors import CheckpointError
from fer_jax.evaluation.openings import OPENINGS, read_openings
from fer_jax.exporting.model_card import model_card
from fer_jax.exporting.speed import measure_speed
from fer_jax.machine.files import write_bytes, write_json
from fer_jax.machine.json_files import read_json
from fer_jax.saved_model import CARD, SavedModel, calibration, load_model

MAX_RELEASE_BYTES = 20_000_000

_REPORT, _MODEL_CARD = "report.json", "MODEL_CARD.md"


def release(workdir: Path, *, out: Path) -> Path:
    """Writes the best checkpoint of a finished run as one that can be shipped, and returns its folder.

    Args:
        workdir: of fer_jax.train, ended, on real faces.
        out: the folder to create; an existing release is replaced in one step.

    Raises:
        CheckpointError: the run has not ended or was on synthetic faces, the outcome is too large,
            or `out` holds something else.
    """
    out = out.absolute()
    _check_replaceable(out)
    saved = load_model(workdir)
    card = _released_card(saved, workdir)
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        _write_weights(saved, partial)
        if (taken := size(partial)) > MAX_RELEASE_BYTES:
            raise CheckpointError(
                f"{workdir}: its network takes {taken / 1e6:.1f} MB, more than the "
                f"{MAX_RELEASE_BYTES / 1e6:.0f} MB a release may have; train a smaller one"
            )
        speed = measure_speed(saved, checkpoint_bytes=size(partial / "model"))
        _write_card({**card, "speed": speed}, partial)
        load_model(partial)  # what cannot be read back is not put in place
        _keep_openings(out, saved, partial)
        _replace(out, by=partial)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out


def _released_card(saved: SavedModel, workdir: Path) -> dict[str, Any]:
    """The run's card with its report, without the folders of the machine it ran on."""
    again = "run the training command again: when a run has ended it only writes its reports"
    if saved.card is None:
        raise CheckpointError(f"{workdir}: has no card of its best checkpoint; {again}")
    missing = [
        name for name in ("temperature", "uncertain_below", "calibrated") if name not in saved.card
    ]
    if missing:
        raise CheckpointError(f"{workdir}/{CARD}: lacks {', '.join(missing)}; {again}")
    calibration(saved)  # refuses figures that are not numbers
    if saved.card["dataset"]["name"] == "synthetic":
        raise CheckpointError(
            f"{workdir}: was trained on synthetic faces, which teach nothing about real ones; "
            "release a run on real faces (docs/training.md says where to put FER2013)"
        )
    try:
        report = read_json(workdir / _REPORT)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{workdir}/{_REPORT}: cannot be read; {again}") from error
    line = shlex.join(_without_folders(word) for word in shlex.split(saved.card["command"]))
    return {
        **_without_folders(saved.card),
        "command": line,
        "report": report,
        "test_openings": read_openings(saved),
    }


def _without_folders(value: Any) -> Any:
    """The same JSON with absolute paths cut to their last part, after a "=" and a "," as well."""
    if isinstance(value, dict):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    if not isinstance(value, str):
        return value
    before, equals, paths = value.rpartition("=")
    if not PurePath(paths).is_absolute():
        return value
    return before + equals + ",".join(PurePath(path).name for path in paths.split(","))


def _write_weights(saved: SavedModel, folder: Path) -> None:
    about = {**_without_folders(saved.about), "step": saved.step}
    items = ocp.args.Composite(
        model=ocp.args.StandardSave(saved.variables),  # pyright: ignore[reportCallIssue]
        about=ocp.args.JsonSave(about),  # pyright: ignore[reportCallIssue]
    )
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler("model", "about")) as writer:
        writer.save(folder, args=items)
    for note in list(folder.rglob("commit_success.txt")):
        note.unlink()  # for remote storage only, and names the folder it was written in


def _write_card(card: dict[str, Any], folder: Path) -> None:
    write_json(folder / CARD, card)
    write_bytes(folder / _MODEL_CARD, model_card(card).encode())


def _check_replaceable(out: Path) -> None:
    released = (out / CARD).is_file() and (out / "model").is_dir()
    if out.exists() and not released and not (out.is_dir() and not any(out.iterdir())):
        raise CheckpointError(f"{out}: is not a release; name another --out, or remove it first")


def _keep_openings(before: Path, saved: SavedModel, after: Path) -> None:
    """Takes along when the test split was opened with an earlier release of the same weights."""
    record = before / OPENINGS
    if record.is_file() and load_model(before).digest == saved.digest:
        shutil.copyfile(record, after / OPENINGS)


def _replace(out: Path, *, by: Path) -> None:
    """Replaces a folder by another; if killed in between, the old one is next to it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    before = out.with_name(f".{out.name}.{os.getpid()}.before")
    if out.exists():
        out.rename(before)
    by.rename(out)
    shutil.rmtree(before, ignore_errors=True)


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
