"""The training loop: epochs of jitted steps, each epoch ended by validation and a checkpoint.

The loop owns no files and prints nothing; a `Reporter` is told what happens. What a run is made of is
bound once in a `Program`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from fer_jax import models
from fer_jax.config import Config
from fer_jax.data.faces import Faces
from fer_jax.data.in_memory import Batch, TrainingOrder, evaluation_batches, targets
from fer_jax.errors import TrainingError
from fer_jax.randomness import host_generator
from fer_jax.training import losses, optim, sharding, state, steps
from fer_jax.training.augment import augment
from fer_jax.training.metrics import Sums, figures
from fer_jax.training.state import TrainState, Variables

_PREFETCHED = 3  # batches made ahead of the device
_IN_FLIGHT = 2  # steps the device may lag behind the loop


class Reporter(Protocol):
    """Is told how a run goes."""

    def step(self, *, epoch: int, step: int, loss: float, learning_rate: float) -> None:
        """A step is complete; `loss` is its batch's."""
        ...

    def epoch(self, row: dict[str, Any]) -> None:
        """An epoch is complete; `row` goes into the history."""
        ...


class RunInterrupted(Exception):  # noqa: N818 - not an error
    """The run was asked to stop inside an epoch; `state` is where it stands."""

    def __init__(self, state: TrainState) -> None:
        super().__init__(f"stopped at step {int(state.step)}")
        self.state = state


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """A run's constant parts: data, compiled steps and the order of things.

    Attributes:
        config: of the run; `config.epochs` is the real number.
        train: training faces.
        validation: validation faces.
        mesh: the devices.
        order: which faces each step sees.
        schedule: step -> learning rate before the plateau's scale.
        init: () -> the state before the first step, replicated over the mesh.
        train_step: state, batch -> state, loss; compiled once, donates the state.
        eval_step: variables, sums, batch -> sums, logits; compiled once.
        end_epoch: state, validation loss -> state.
    """

    config: Config
    train: Faces
    validation: Faces
    mesh: Mesh
    order: TrainingOrder
    schedule: Callable[[Any], Any]
    init: Callable[[], TrainState]
    train_step: Callable[..., Any]
    eval_step: Callable[..., Any]
    end_epoch: Callable[..., TrainState]

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.order.end_of_epoch(self.config.epochs)


def assemble(config: Config, *, train: Faces, validation: Faces, mesh: Mesh) -> Program:
    """Returns the compiled parts of a run on these faces.

    Args:
        config: with the number of epochs resolved (1 or more).
        train: N >= 1 faces.
        validation: 1 or more faces.
        mesh: with the axis "data", over which a batch divides evenly.
    """
    order = TrainingOrder(
        train.labels, config.batch_size, config.seed, balanced=config.data.balanced_sampling
    )
    total = order.end_of_epoch(config.epochs)
    schedule = optim.learning_rate_schedule(
        config.optim, steps_per_epoch=total / config.epochs, total_steps=total
    )
    model = models.build(config.model.name, dropout=config.model.dropout, dtype=config.model.dtype)
    optimizer = optim.optimizer(config.optim, schedule)
    plateau = optim.plateau(config.optim.plateau)
    weights = losses.class_weights(train.labels, scheme=config.loss.class_weights)
    root = jax.random.key(config.seed)
    everywhere = sharding.replicated(mesh)
    create = functools.partial(
        state.create, model=model, optimizer=optimizer, plateau=plateau, ema=config.ema_decay > 0
    )
    train_step = functools.partial(
        steps.train_step,
        root=root,
        weights=jnp.asarray(weights),
        model=model,
        optimizer=optimizer,
        config=config,
    )
    return Program(
        config=config,
        train=train,
        validation=validation,
        mesh=mesh,
        order=order,
        schedule=schedule,
        init=functools.partial(jax.jit(create, out_shardings=everywhere), root),
        train_step=jax.jit(train_step, donate_argnums=0, out_shardings=everywhere),
        eval_step=compile_eval_step(model),
        end_epoch=jax.jit(
            functools.partial(steps.end_epoch, plateau=plateau, config=config),
            donate_argnums=0,
            out_shardings=everywhere,
        ),
    )


def run(
    program: Program,
    state: TrainState,
    *,
    reporter: Reporter,
    save: Callable[[TrainState, dict[str, Any]], None],
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainState:
    """Trains from `state` to the end of the run and returns the last state.

    Args:
        program: what to run.
        state: where to start; donated.
        reporter: is told of every step and epoch.
        save: is called after every epoch with the state and the history row.
        should_stop: asked before every step.

    Raises:
        RunInterrupted: `should_stop` said so.
        TrainingError: the loss is no number any more.
    """
    epochs, order = program.config.epochs, program.order
    step = int(state.step)
    while step < program.total_steps and not bool(state.ran_out):
        epoch = next(e for e in range(1, epochs + 1) if order.end_of_epoch(e) > step)
        end = order.end_of_epoch(epoch)
        state = _train_epoch(
            program, state, epoch=epoch, end=end, reporter=reporter, should_stop=should_stop
        )
        state, row = _end_epoch(program, state, epoch=epoch)
        step = end
        reporter.epoch(row)
        save(state, row)
    return state


def compile_eval_step(model: nn.Module) -> Callable[..., tuple[Sums, jax.Array]]:
    """Returns `steps.eval_step` of `model`, jitted: variables, sums, batch -> sums, logits."""
    return jax.jit(functools.partial(steps.eval_step, model=model))


def evaluate(
    eval_step: Callable[..., tuple[Sums, jax.Array]],
    variables: Variables,
    faces: Faces,
    *,
    mesh: Mesh,
    batch_size: int,
) -> tuple[dict[str, Any], np.ndarray]:
    """Returns `metrics.figures` of `faces` and their logits, float32 [N, 7].

    Args:
        eval_step: of `compile_eval_step`.
        variables: of the network, replicated over the mesh.
        faces: N of them.
        mesh: to spread batches over.
        batch_size: faces a batch, rounded up to what the mesh divides.
    """
    total = jax.device_put(Sums.zero(), sharding.replicated(mesh))
    rows = []
    for batch in evaluation_batches(
        faces, batch_size=math.ceil(batch_size / mesh.size) * mesh.size
    ):
        total, logits = eval_step(variables, total, sharding.put_batch(batch, mesh))
        rows.append(logits)
    logits = np.concatenate([np.asarray(part) for part in rows])[: len(faces)]
    return figures(np.asarray(total.confusion), loss=float(total.loss) / len(faces)), logits


def validate(
    program: Program, variables: Variables, faces: Faces
) -> tuple[dict[str, Any], np.ndarray]:
    """`evaluate` with a run's own step, mesh and batch size."""
    return evaluate(
        program.eval_step,
        variables,
        faces,
        mesh=program.mesh,
        batch_size=program.config.eval_batch_size,
    )


def training_batch(program: Program, step: int) -> Batch:
    """Returns the batch of `step`, augmented: a function of the run's seed and the step alone."""
    config = program.config
    rows = program.order.indices(step)
    generator = host_generator(config.seed, "augment", step)
    return Batch(
        image=augment(program.train.images[rows], generator, config=config.augment),
        label=program.train.labels[rows],
        target=targets(program.train.take(rows), soft=config.data.soft_labels),
        mask=np.ones(len(rows), np.float32),
    )


def _train_epoch(
    program: Program,
    state: TrainState,
    *,
    epoch: int,
    end: int,
    reporter: Reporter,
    should_stop: Callable[[], bool],
) -> TrainState:
    first, in_flight = int(state.step), deque()
    scale = float(state.plateau.scale)

    def settle() -> None:
        step, value = in_flight.popleft()
        loss = float(value)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} at step {step} (epoch {epoch}): try a lower "
                "config.optim.learning_rate, a longer config.optim.warmup_epochs or a lower "
                "config.optim.clip_norm; the best checkpoint so far is kept"
            )
        rate = float(program.schedule(step)) * scale
        reporter.step(epoch=epoch, step=step + 1, loss=loss, learning_rate=rate)

    batches = _ahead(lambda step: training_batch(program, step), first, end)
    for step, batch in zip(range(first, end), batches, strict=True):
        if should_stop():
            batches.close()
            raise RunInterrupted(state)
        state, loss = program.train_step(state, sharding.put_batch(batch, program.mesh))
        in_flight.append((step, loss))
        if len(in_flight) > _IN_FLIGHT:
            settle()
    while in_flight:
        settle()
    return state


def _end_epoch(
    program: Program, state: TrainState, *, epoch: int
) -> tuple[TrainState, dict[str, Any]]:
    step, scale = int(state.step), float(state.plateau.scale)
    count = max(int(np.asarray(state.sums.confusion).sum()), 1)
    trained = figures(np.asarray(state.sums.confusion), loss=float(state.sums.loss) / count)
    validated, _ = validate(program, state.evaluated, program.validation)
    state = program.end_epoch(state, np.float32(validated["loss"]))
    row = {
        "epoch": epoch,
        "step": step,
        "learning_rate": float(program.schedule(step - 1)) * scale,
        "plateau_scale": scale,
        "train_loss": trained["loss"],
        "train_accuracy": trained["accuracy"],
        **{f"validation_{k}": validated[k] for k in ("loss", "accuracy", "uar", "macro_f1")},
        "ran_out": bool(state.ran_out),
    }
    return state, row


def _ahead(make: Callable[[int], Batch], first: int, end: int) -> Generator[Batch, None, None]:
    """Yields make(first) ... make(end - 1), made by another thread a few steps ahead."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as pool:
        pending: deque[Future[Batch]] = deque()
        for step in range(first, end):
            pending.append(pool.submit(make, step))
            if len(pending) > _PREFETCHED:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
