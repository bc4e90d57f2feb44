"""The training loop: epochs of jitted steps, each epoch ended by validation and a checkpoint.

A run that starts from trained weights first validates and saves them as epoch 0, and so keeps them if no
later epoch is better. The loop owns no files and prints nothing; it reports to a `Reporter`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import jax
import numpy as np
import optax

from fer_jax.data.in_memory import Batch
from fer_jax.errors import TrainingError
from fer_jax.evaluation.metrics import figures
from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.machine import sharding
from fer_jax.saved_model import Variables
from fer_jax.training import device_epoch
from fer_jax.training.finishing import finished
from fer_jax.training.plan import training_batch
from fer_jax.training.program import Program, validate
from fer_jax.training.state import TrainState

_PREFETCHED = 3  # batches made ahead of the device
_IN_FLIGHT = 2  # steps the device may lag behind the loop


class Reporter(Protocol):
    """Receives the progress of a run."""

    def step(self, *, epoch: int, step: int, loss: float, learning_rate: float) -> None:
        """A step is complete; `loss` is its batch's."""
        ...

    def epoch(self, row: dict[str, Any]) -> None:
        """An epoch is complete; `row` goes into the history."""
        ...


class RunInterrupted(Exception):  # noqa: N818 - not an error
    """The run was asked to stop inside an epoch, at `state`."""

    def __init__(self, state: TrainState) -> None:
        super().__init__(f"stopped at step {int(state.step)}")
        self.state = state


def run(
    program: Program,
    state: TrainState,
    *,
    reporter: Reporter,
    save: Callable[[TrainState, dict[str, Any], Variables], None],
    should_stop: Callable[[], bool] = lambda: False,
    before_step: Callable[[int], None] = lambda step: None,
) -> TrainState:
    """Trains from `state` to the end of the run and returns the last state.

    Args:
        program: of the run.
        state: where to start; donated.
        reporter: receives every step and epoch.
        save: called after every epoch, epoch 0 included, with the state, the history row and the
            variables that were validated.
        should_stop: called before every step, or before what is compiled as one.
        before_step: called with the step's number as often.

    Raises:
        RunInterrupted: `should_stop` returned True.
        TrainingError: the loss is not finite.
    """
    plan = program.plan
    epochs, order = plan.config.epochs, plan.order
    step = int(state.step)
    if step == 0 and plan.starts_trained:
        row, kept = _beginning(program, state)
        reporter.epoch(row)
        save(state, row, kept)
    while step < plan.total_steps and not bool(state.ran_out):
        epoch = next(e for e in range(1, epochs + 1) if order.end_of_epoch(e) > step)
        end = order.end_of_epoch(epoch)
        train_epoch = _train_epoch if program.steps.faces is None else _train_epoch_on_device
        state = train_epoch(
            program,
            state,
            epoch=epoch,
            end=end,
            reporter=reporter,
            should_stop=should_stop,
            before_step=before_step,
        )
        state, row, kept = _end_epoch(program, state, epoch=epoch)
        step = end
        reporter.epoch(row)
        save(state, row, kept)
    return state


def _train_epoch(
    program: Program,
    state: TrainState,
    *,
    epoch: int,
    end: int,
    reporter: Reporter,
    should_stop: Callable[[], bool],
    before_step: Callable[[int], None],
) -> TrainState:
    plan, steps = program
    first, in_flight = int(state.step), deque()
    scale = float(state.plateau.scale)

    def settle() -> None:
        step, value = in_flight.popleft()
        loss = float(jax.device_get(value))
        _check_finite(loss, name="loss", step=step, epoch=epoch)
        rate = float(plan.learning_rates[step]) * scale
        reporter.step(epoch=epoch, step=step + 1, loss=loss, learning_rate=rate)

    own = sharding.own_rows(steps.mesh, plan.config.batch_size)
    batches = _ahead(lambda step: training_batch(plan, step, rows=own), first, end)
    # Only explicit transfers of batches and losses may cross between host and devices in an epoch.
    with jax.transfer_guard("disallow"):
        for step, batch in zip(range(first, end), batches, strict=True):
            if should_stop():
                batches.close()
                while in_flight:
                    settle()
                raise RunInterrupted(state)
            before_step(step)
            state, loss = steps.train(state, sharding.put_rows(batch, steps.mesh))
            in_flight.append((step, loss))
            if len(in_flight) > _IN_FLIGHT:
                settle()
        while in_flight:
            settle()
    return state


def _train_epoch_on_device(
    program: Program,
    state: TrainState,
    *,
    epoch: int,
    end: int,
    reporter: Reporter,
    should_stop: Callable[[], bool],
    before_step: Callable[[int], None],
) -> TrainState:
    """One program for all steps of an epoch that see faces of one size; it cannot be stopped inside."""
    plan, steps = program
    assert steps.faces is not None
    scale = float(state.plateau.scale)
    for first, last in device_epoch.spans(plan, int(state.step), end):
        if should_stop():
            raise RunInterrupted(state)
        before_step(first)
        rows = sharding.put_everywhere(device_epoch.rows_of(plan, first, last), steps.mesh)
        with jax.transfer_guard("disallow"):
            state, losses = steps.train_on(state, steps.faces, rows, size=plan.face_size(first))
            losses = jax.device_get(losses)
        for step, loss in enumerate(losses.tolist(), first):
            _check_finite(loss, name="loss", step=step, epoch=epoch)
            rate = float(plan.learning_rates[step]) * scale
            reporter.step(epoch=epoch, step=step + 1, loss=loss, learning_rate=rate)
    return state


def _beginning(program: Program, state: TrainState) -> tuple[dict[str, Any], Variables]:
    """The row of epoch 0. It does not enter the plateau schedule, which starts with the first epoch."""
    validated, kept = _validated(program, state, size=FACE_SIZE, epoch=0)
    row = {
        "epoch": 0,
        "step": 0,
        "face_size": FACE_SIZE,
        "learning_rate": 0.0,
        "plateau_scale": float(state.plateau.scale),
        "train_loss": None,
        "train_accuracy": None,
        **validated,
        "ran_out": False,
    }
    return row, kept


def _end_epoch(
    program: Program, state: TrainState, *, epoch: int
) -> tuple[TrainState, dict[str, Any], Variables]:
    plan, steps = program
    step, scale = int(state.step), float(state.plateau.scale)
    count = max(int(np.asarray(state.sums.confusion).sum()), 1)
    trained = figures(np.asarray(state.sums.confusion), loss=float(state.sums.loss) / count)
    size = plan.face_size(step - 1)
    validated, kept = _validated(program, state, size=size, epoch=epoch)
    norms = _norms(state, steps=step - plan.order.end_of_epoch(epoch - 1))
    state = steps.end_epoch(state, np.float32(validated["validation_loss"]))
    row = {
        "epoch": epoch,
        "step": step,
        "face_size": size,
        "learning_rate": float(plan.learning_rates[step - 1]) * scale,
        "plateau_scale": scale,
        "train_loss": trained["loss"],
        "train_accuracy": trained["accuracy"],
        **norms,
        **validated,
        "ran_out": bool(state.ran_out),
    }
    return state, row, kept


def _norms(state: TrainState, *, steps: int) -> dict[str, float]:
    """Returns means over the epoch's steps, and the norm of the parameters at its end."""
    return {
        "gradient_norm": float(state.norms.gradient) / steps,
        "update_norm": float(state.norms.update) / steps,
        "parameter_norm": float(optax.tree.norm(state.variables["params"])),
    }


def _validated(
    program: Program, state: TrainState, *, size: int, epoch: int
) -> tuple[dict[str, float], Variables]:
    """Returns the validation figures of a history row, and the variables they belong to."""
    variables = finished(program, state, size=size)
    validated, _ = validate(program, variables, program.plan.validation, size=size)
    _check_finite(validated["loss"], name="validation loss", step=int(state.step), epoch=epoch)
    names = ("loss", "accuracy", "uar", "macro_f1")
    return {f"validation_{name}": validated[name] for name in names}, variables


def _check_finite(loss: float, *, name: str, step: int, epoch: int) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"the {name} is {loss} at step {step} (epoch {epoch}): try a lower "
            "config.optim.learning_rate, a longer config.optim.warmup_epochs or clipping "
            "(config.optim.clip_norm=1); the checkpoints written so far are kept"
        )


def _ahead(make: Callable[[int], Batch], first: int, end: int) -> Generator[Batch, None, None]:
    """Yields make(first) ... make(end - 1), computed by another thread a few steps ahead."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as pool:
        pending: deque[Future[Batch]] = deque()
        for step in range(first, end):
            pending.append(pool.submit(make, step))
            if len(pending) > _PREFETCHED:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
