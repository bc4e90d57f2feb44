"""Orbax checkpoints of a run: written asynchronously, the latest and the best kept.

A checkpoint holds three items: `state`, all that training needs to go on; `model`, the variables that
are evaluated, which a reader restores alone; and `about`, the configuration as JSON, so that a
checkpoint folder needs nothing beside it to be understood.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from fer_jax.errors import CheckpointError
from fer_jax.training.state import TrainState, Variables

FOLDER = "checkpoints"
_ITEMS = ("state", "model", "about")

# Figures by which a checkpoint is the best, and whether more of it is better.
_MORE_IS_BETTER = {"loss": False, "uar": True, "accuracy": True}


class Checkpoints:
    """The checkpoints below one workdir; a context manager that ends by waiting for the last save."""

    def __init__(self, workdir: Path, *, best_by: str) -> None:
        """Opens (and makes) `workdir`/checkpoints; `best_by` is "loss", "uar" or "accuracy"."""
        _quiet()
        # A failed save is raised by `save`, `wait` or `close`; its event loop would repeat it per array.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        self._best_by = best_by
        best = policies.BestN(
            get_metric_fn=lambda metrics: metrics[best_by],
            # Orbax keeps the last of the sorted list.
            reverse=not _MORE_IS_BETTER[best_by],
            n=1,
            keep_checkpoints_without_metrics=False,
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(1), best]),
            # Orbax writes the figures to disk only if it is told these two as well.
            best_fn=lambda metrics: metrics[best_by],
            best_mode="max" if _MORE_IS_BETTER[best_by] else "min",
            cleanup_tmp_directories=True,
        )
        self._manager = ocp.CheckpointManager(
            (workdir / FOLDER).absolute(), options=options, item_names=_ITEMS
        )

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *exception: object) -> None:
        self._manager.close()

    def save(
        self, state: TrainState, *, about: Mapping[str, Any], metrics: Mapping[str, float] | None
    ) -> None:
        """Starts to write `state` under its step and returns; an existing step is left alone.

        Args:
            state: to save; may be donated as soon as this returns.
            about: JSON-able description.
            metrics: validation figures; None inside an epoch.
        """
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state),  # pyright: ignore[reportCallIssue]
            model=ocp.args.StandardSave(state.evaluated),  # pyright: ignore[reportCallIssue]
            about=ocp.args.JsonSave(dict(about)),  # pyright: ignore[reportCallIssue]
        )
        self._manager.save(step, args=items, metrics=dict(metrics) if metrics else None)

    def wait(self) -> None:
        """Returns when all that was saved is on disk."""
        self._manager.wait_until_finished()

    def latest_step(self) -> int | None:
        """Newest complete checkpoint's step, None without one."""
        return self._manager.latest_step()

    def best_step(self) -> int | None:
        """Step of the best checkpoint by the validation figure; the newest without any figure."""
        return _best_step(self._manager, best_by=self._best_by)

    def about(self, step: int) -> dict[str, Any]:
        """The description saved with `step`."""
        args = ocp.args.Composite(about=ocp.args.JsonRestore())
        return self._manager.restore(step, args=args)["about"]

    def restore(self, step: int, like: TrainState) -> TrainState:
        """Returns the state saved at `step`.

        Args:
            step: of a checkpoint that is here.
            like: shapes, dtypes and shardings to restore with (as `jax.eval_shape` gives them).

        Raises:
            CheckpointError: the checkpoint is of another network or damaged.
        """
        target = ocp.args.StandardRestore(like)  # pyright: ignore[reportCallIssue]
        try:
            return self._manager.restore(step, args=ocp.args.Composite(state=target))["state"]
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{self._manager.directory}/{step}: does not fit this configuration's network "
                f"({_first_line(error)}); use another --workdir, or --noresume to start over"
            ) from error


@dataclasses.dataclass(frozen=True)
class SavedModel:
    """A network read back from disk.

    Attributes:
        path: the checkpoint folder it came from.
        step: training step it was saved at.
        variables: params and batch_stats, numpy arrays.
        about: the description saved with it: its configuration among others.
    """

    path: Path
    step: int
    variables: Variables
    about: dict[str, Any]


def load_model(path: Path, *, best: bool = True) -> SavedModel:
    """Reads the network, and only that, from a workdir or a checkpoint folder.

    Args:
        path: a workdir, its checkpoints folder, or one checkpoint inside that.
        best: of a workdir, the best checkpoint rather than the newest.

    Raises:
        CheckpointError: there is none, or it can not be read.
    """
    folder = _checkpoint_folder(path, best=best)
    _quiet()
    try:
        with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
            about = reader.restore(folder / "about")
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
            shapes = reader.metadata(folder / "model").item_metadata
            as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), shapes)
            variables = reader.restore(folder / "model", restore_args=dict(as_numpy))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder}: can not be read as a checkpoint ({_first_line(error)})"
        ) from error
    return SavedModel(path=folder, step=int(folder.name), variables=variables, about=about)


def digest(variables: Variables) -> str:
    """SHA-256 over every array's path, dtype, shape and bytes, in the tree's order."""
    sha = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        array = np.ascontiguousarray(leaf)
        sha.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def _checkpoint_folder(path: Path, *, best: bool) -> Path:
    path = path.absolute()
    if (path / "model").is_dir():
        return path
    for root in (path / FOLDER, path):
        if any(entry.name.isdigit() for entry in root.glob("*")):
            options = ocp.CheckpointManagerOptions(read_only=True)
            with ocp.CheckpointManager(root, options=options) as manager:
                step = manager.latest_step()
                if best and step is not None:
                    with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
                        about = reader.restore(root / str(step) / "about")
                    step = _best_step(manager, best_by=about["config"]["best_by"])
            if step is not None:
                return root / str(step)
    raise CheckpointError(
        f"{path}: holds no checkpoint; expected a workdir written by fer_jax.train, "
        "or a checkpoint folder inside one"
    )


def _best_step(manager: ocp.CheckpointManager, *, best_by: str) -> int | None:
    rated = {}
    for step in manager.all_steps():
        metrics = manager.metrics(step)
        if metrics:
            rated[step] = metrics[best_by]
    if not rated:
        return manager.latest_step()
    sign = 1 if _MORE_IS_BETTER[best_by] else -1
    return max(rated, key=lambda step: (sign * rated[step], step))


def _quiet() -> None:
    """Orbax tells its every step through absl; what goes wrong it raises as well."""
    logging.getLogger("absl").setLevel(logging.CRITICAL)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
