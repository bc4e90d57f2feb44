"""Networks read back from disk: a run's workdir, one of its checkpoints, or a shipped network.

Only what inference needs is read and imported. A `card.json` next to a checkpoint, or in the workdir
around it, states the weights' origin, calibration and digest; the digest is checked.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import math
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from fer_jax.errors import CheckpointError
from fer_jax.machine.json_files import read_json
from fer_jax.pretrained import checkpoint_path, shipped_names

Variables = dict[str, Any]  # {"params": ..., "batch_stats": ...}

FOLDER = "checkpoints"  # of a workdir
CARD = "card.json"

# Raised by a folder that holds anything else; JSON nested too deeply is a RecursionError.
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)

_MOST_BYTES = 4 << 30  # of a checkpoint's arrays; our largest network takes 50 MB

# Figures by which a checkpoint is the best, and whether more of it is better.
MORE_IS_BETTER = {"loss": False, "uar": True, "accuracy": True}


@dataclasses.dataclass(frozen=True)
class SavedModel:
    """A network read back from disk.

    Attributes:
        path: the checkpoint folder it came from.
        step: training step it was saved at.
        variables: params and batch_stats, numpy arrays.
        about: the description saved with it: its configuration among others.
        digest: of the variables.
        card: the card that `fer_jax.evaluation.reports.card` wrote for these weights, or None.
    """

    path: Path
    step: int
    variables: Variables
    about: dict[str, Any]
    digest: str
    card: dict[str, Any] | None


def load_model(path: str | os.PathLike[str] | None = None, *, best: bool = True) -> SavedModel:
    """Reads the network, and only that, from a workdir or a checkpoint folder.

    Args:
        path: a shipped name ("crowd", "fer2013"), a workdir, its checkpoints folder, one checkpoint
            inside that, or a released checkpoint; None for the default shipped network.
        best: of a workdir, the best checkpoint rather than the newest.

    Raises:
        CheckpointError: there is none, it cannot be read, or it is not what its card says.
    """
    quiet()
    folder = _checkpoint_folder(checkpoint_path(path), best=best)
    try:
        about = _read_about(folder)
        variables = _read_variables(folder)
        step = int(folder.name) if folder.name.isdigit() else int(about.get("step", 0))
    except _DAMAGED as error:
        raise CheckpointError(
            f"{folder}: cannot be read as a checkpoint ({first_line(error)}); "
            "take another copy of it, or train again"
        ) from error
    found = digest(variables)
    card = _card_of(folder, step=step, digest=found)
    if card is None and "step" in about:  # as `fer_jax.export` describes a release
        raise CheckpointError(
            f"{folder / CARD}: is missing; a released checkpoint comes with its card, "
            "take another copy of both"
        )
    return SavedModel(folder, step, variables, about, found, card)


def load_models(names: str) -> list[SavedModel]:
    """Reads every network named: names and paths as `load_model` takes them, separated by commas.

    Raises:
        CheckpointError: as `load_model`.
    """
    return [load_model(name.strip()) for name in names.split(",") if name.strip()]


def digest(variables: Variables) -> str:
    """SHA-256 over every array's path, dtype, shape and bytes, in the tree's order."""
    sha = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        array = np.ascontiguousarray(leaf)
        sha.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def calibration(saved: SavedModel) -> tuple[float, float]:
    """Returns the temperature to divide logits by, and the confidence below which to be uncertain.

    Without a card they are 1, and a half, where one expression outweighs all others together; a
    warning says so.

    Raises:
        CheckpointError: the card holds no usable numbers.
    """
    card = saved.card or {}
    if "temperature" not in card or "uncertain_below" not in card:
        warnings.warn(
            f"{saved.path}: no card holds its calibration, so its confidence may not be meaningful; "
            "fer_jax.train writes the card of a run's best checkpoint when the run ends",
            stacklevel=4,  # whoever called Predictor.load
        )
    pair = card.get("temperature", 1.0), card.get("uncertain_below", 0.5)
    if not all(isinstance(value, int | float) and value > 0 for value in pair):
        raise CheckpointError(
            f"{saved.path}: its card's temperature and uncertain_below must be positive numbers, "
            f"got {pair[0]!r} and {pair[1]!r}; take another copy of the card"
        )
    return float(pair[0]), float(pair[1])


def parameter_count(variables: Variables) -> int:
    """Number of trained numbers in `variables["params"]`."""
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def best_saved_step(manager: ocp.CheckpointManager, *, best_by: str) -> int | None:
    """Step of the best checkpoint by the validation figure; the newest without any figure."""
    rated = {}
    for step in manager.all_steps():
        metrics = manager.metrics(step)
        if metrics:
            rated[step] = metrics[best_by]
    if not rated:
        return manager.latest_step()
    sign = 1 if MORE_IS_BETTER[best_by] else -1
    return max(rated, key=lambda step: (sign * rated[step], step))


def quiet() -> None:
    """Silences Orbax, which logs every step through absl and also raises its errors."""
    logging.getLogger("absl").setLevel(logging.CRITICAL)


def first_line(error: Exception) -> str:
    """The first line of an error's message, for a message of one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _checkpoint_folder(path: Path, *, best: bool) -> Path:
    path = path.absolute()
    if (path / "model").is_dir():
        return path
    for root in (path / FOLDER, path):
        if any(entry.name.isdigit() for entry in root.glob("*")):
            step = _chosen_step(root, best=best)
            if step is not None:
                return root / str(step)
    raise CheckpointError(
        f"{path}: holds no checkpoint; expected a workdir written by fer_jax.train, a checkpoint "
        f"folder inside one, or a shipped network: {', '.join(shipped_names())}"
    )


def _chosen_step(root: Path, *, best: bool) -> int | None:
    options = ocp.CheckpointManagerOptions(read_only=True)
    try:
        with ocp.CheckpointManager(root, options=options) as manager:
            step = manager.latest_step()
            if not best or step is None:
                return step
            best_by = _read_about(root / str(step))["config"]["best_by"]
            return best_saved_step(manager, best_by=best_by)
    except _DAMAGED as error:
        raise CheckpointError(
            f"{root}: its checkpoints cannot be read ({first_line(error)}); name one of them"
        ) from error


def _read_variables(folder: Path) -> Variables:
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader, _no_late_complaints():
        index = reader.metadata(folder / "model").item_metadata
        if index is None:
            raise ValueError("the list of its arrays is damaged or missing")
        _check_size(index)
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), index)
        return reader.restore(folder / "model", restore_args=dict(as_numpy))


def _check_size(index: Any) -> None:
    """Refuses arrays that no network of ours has, before room is made for them."""
    claimed = sum(
        math.prod(array.shape) * np.dtype(array.dtype).itemsize for array in jax.tree.leaves(index)
    )
    if claimed > _MOST_BYTES:
        raise ValueError(f"its arrays claim {claimed / 2**30:,.0f} GiB")


@contextlib.contextmanager
def _no_late_complaints() -> Iterator[None]:
    """When one array cannot be read, the readers of the others find Orbax's event loop closed.

    They say so on standard error, each with a traceback, until after the failure: the hook then stays.
    """
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            before(unraisable)

    sys.unraisablehook = hook
    yield
    sys.unraisablehook = before


def _read_about(folder: Path) -> dict[str, Any]:
    with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
        return reader.restore(folder / "about")


def _card_of(folder: Path, *, step: int, digest: str) -> dict[str, Any] | None:
    """The card describing the weights in `folder`; its digest must match."""
    beside, around = folder / CARD, folder.parent.parent / CARD
    path = around if folder.parent.name == FOLDER and not beside.exists() else beside
    if not path.exists():
        return None
    try:
        card = read_json(path)
        # A workdir's card describes the checkpoint that was the best when the run ended.
        if path is around and card["step"] != step:
            return None
        expected = card["digest"]
    except _DAMAGED as error:
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint's card ({first_line(error)}); "
            "take another copy of the checkpoint with its card"
        ) from error
    if expected != digest:
        raise CheckpointError(
            f"{folder}: its weights do not match {CARD} "
            f"(sha256 {digest[:12]}..., expected {str(expected)[:12]}...); take another copy of both"
        )
    return card
