"""Orbax checkpoints of a run: written asynchronously, the latest and the best kept.

A checkpoint holds three items: `state`, everything that training needs to resume; `model`, the evaluated
variables, which readers restore on their own; and `about`, the configuration as JSON, so that a
checkpoint folder explains itself.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from fer_jax.errors import CheckpointError
from fer_jax.saved_model import (
    FOLDER,
    MORE_IS_BETTER,
    Variables,
    best_saved_step,
    first_line,
    quiet,
)
from fer_jax.training.state import TrainState

_SPARE_BYTES = 1 << 20  # for descriptions and folders next to the arrays
_ITEMS = ("state", "model", "about")


class Checkpoints:
    """The checkpoints of one workdir; a context manager whose exit waits for the last save."""

    def __init__(self, workdir: Path, *, best_by: str) -> None:
        """Opens (and makes) `workdir`/checkpoints; `best_by` is "loss", "uar" or "accuracy"."""
        quiet()
        # `save`, `wait` or `close` raise a failed save; the event loop would log it again per array.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        self._best_by = best_by
        best = policies.BestN(
            get_metric_fn=lambda metrics: metrics[best_by],
            # Orbax keeps the last of the sorted list.
            reverse=not MORE_IS_BETTER[best_by],
            n=1,
            keep_checkpoints_without_metrics=False,
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(1), best]),
            # Orbax writes the figures to disk only with these two options.
            best_fn=lambda metrics: metrics[best_by],
            best_mode="max" if MORE_IS_BETTER[best_by] else "min",
            cleanup_tmp_directories=True,
        )
        self._manager = ocp.CheckpointManager(
            (workdir / FOLDER).absolute(), options=options, item_names=_ITEMS
        )

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *exception: object) -> None:
        # Closing waits for the other processes, which wait for this one if it has failed.
        if exception[0] is None or jax.process_count() == 1:
            self._manager.close()

    def save(
        self,
        state: TrainState,
        kept: Variables,
        *,
        about: Mapping[str, Any],
        metrics: Mapping[str, float] | None,
    ) -> None:
        """Starts to write `state` under its step and returns; keeps an existing step as it is.

        Args:
            state: to save; may be donated as soon as this returns.
            kept: the variables that were validated.
            about: JSON-able description.
            metrics: validation figures; None inside an epoch.

        Raises:
            OSError: the disk is full.
        """
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        self._check_room(state, kept)
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state),  # pyright: ignore[reportCallIssue]
            model=ocp.args.StandardSave(kept),  # pyright: ignore[reportCallIssue]
            about=ocp.args.JsonSave(dict(about)),  # pyright: ignore[reportCallIssue]
        )
        self._manager.save(step, args=items, metrics=dict(metrics) if metrics else None)

    def wait(self) -> None:
        """Returns when every save is on disk."""
        self._manager.wait_until_finished()

    def latest_step(self) -> int | None:
        """Newest complete checkpoint's step, None without one."""
        return self._manager.latest_step()

    def best_step(self) -> int | None:
        """Step of the best checkpoint by the validation figure; the newest without any figure."""
        return best_saved_step(self._manager, best_by=self._best_by)

    def about(self, step: int) -> dict[str, Any]:
        """The description saved with `step`."""
        args = ocp.args.Composite(about=ocp.args.JsonRestore())
        try:
            return self._manager.restore(step, args=args)["about"]
        except (OSError, ValueError, KeyError) as error:
            raise self._damaged(step, error) from error

    def restore(self, step: int, like: TrainState) -> TrainState:
        """Returns the state saved at `step`.

        Args:
            step: of an existing checkpoint.
            like: shapes, dtypes and shardings to restore with (as `jax.eval_shape` gives them).

        Raises:
            CheckpointError: the checkpoint is damaged, or of another version of the network.
        """
        target = ocp.args.StandardRestore(like)  # pyright: ignore[reportCallIssue]
        try:
            return self._manager.restore(step, args=ocp.args.Composite(state=target))["state"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(step, error) from error

    def _check_room(self, state: TrainState, kept: Variables) -> None:
        """Refuses before writing: a save that fails half-way logs one traceback per array."""
        leaves = [*jax.tree.leaves(state), *jax.tree.leaves(kept)]
        needed = sum(leaf.nbytes for leaf in leaves) + _SPARE_BYTES
        folder = str(self._manager.directory)
        if shutil.disk_usage(folder).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), folder)

    def _damaged(self, step: int, error: Exception) -> CheckpointError:
        return CheckpointError(
            f"{self._manager.directory}/{step}: cannot be read; it is damaged or from another version "
            f"({first_line(error)}); remove that folder to resume from an older checkpoint, or start "
            "over with --noresume"
        )
