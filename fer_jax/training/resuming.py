"""Resumes from a workdir's newest checkpoint, if it belongs to the same run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from fer_jax.config import Config, flat, to_dict
from fer_jax.errors import TrainingError
from fer_jax.machine import cluster, sharding
from fer_jax.training import workdir
from fer_jax.training.checkpoint import Checkpoints
from fer_jax.training.program import Steps
from fer_jax.training.state import TrainState

# What may differ between a run and its continuation; anything else would make its card a lie.
_FREE_KEYS = ("epochs", "eval_batch_size", "devices", "best_by")
_FREE_KEYS += ("data.dir", "data.name", "data.on_error", "loss.teacher", "start")  # by content


def initial_state(
    steps: Steps,
    checkpoints: Checkpoints,
    folder: Path,
    *,
    about: dict[str, Any],
    say: Callable[[str], None],
) -> TrainState:
    """The state to resume from: the newest checkpoint's, or a fresh one; trims the history to it."""
    step = checkpoints.latest_step()
    if step is not None:
        _check_same_run(checkpoints.about(step), about, folder, say=say)
        shapes = jax.eval_shape(steps.init)
        everywhere = sharding.replicated(steps.mesh)
        like = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=everywhere), shapes
        )
        state = checkpoints.restore(step, like)
    else:
        state = steps.init()
    for name in (workdir.HISTORY, workdir.TIMING) if cluster.is_first() else ():
        workdir.keep_rows_until(folder / name, step or -1)  # epoch 0 is then reported again, too
    return state


def _check_same_run(
    saved: dict[str, Any], wanted: dict[str, Any], folder: Path, *, say: Callable[[str], None]
) -> None:
    what_to_do = "name another --workdir, or start over with --noresume"
    if saved.get("training_faces") != wanted["training_faces"]:
        raise TrainingError(
            f"{folder}: holds a run on other training faces; {what_to_do} "
            "(make train ARGS=--noresume)"
        )
    if saved.get("teacher") != wanted["teacher"]:
        raise TrainingError(f"{folder}: holds a run with another teacher; {what_to_do}")
    if saved.get("start") != wanted["start"]:
        raise TrainingError(f"{folder}: holds a run that started elsewhere; {what_to_do}")
    # A setting that did not exist when the run started had its default.
    was = flat(to_dict(Config())) | flat(saved["config"])
    now = flat(wanted["config"])
    for key in sorted(was.keys() | now.keys()):
        if was.get(key) != now.get(key) and key not in _FREE_KEYS:
            raise TrainingError(
                f"{folder}: holds a run with config.{key}={was.get(key)}, this one has "
                f"{now.get(key)}; {what_to_do}"
            )
    if saved["devices"] != wanted["devices"]:
        say(
            f"note: the run started on {saved['devices']} device(s) and is resuming on "
            f"{wanted['devices']}: its last digits will differ from one that never moved"
        )
