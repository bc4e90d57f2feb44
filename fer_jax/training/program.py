"""`Program`: a run's plan and the compiled steps that carry it out."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float32, Int32, UInt8

from fer_jax import models
from fer_jax.config import Config
from fer_jax.data.faces import Faces
from fer_jax.data.in_memory import Array, Batch
from fer_jax.evaluation.evaluation import EvalStep, compile_eval_step, evaluate
from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.machine import sharding
from fer_jax.saved_model import Variables
from fer_jax.training import device_epoch, losses, optim, resolution, state, steps
from fer_jax.training.device_epoch import DeviceFaces
from fer_jax.training.plan import Plan, make_plan
from fer_jax.training.state import TrainState


@runtime_checkable
class Init(Protocol):
    """Makes a run's first state."""

    def __call__(self) -> TrainState:
        """Returns the state before the first step, replicated over the mesh."""
        ...


@runtime_checkable
class TrainStep(Protocol):
    """`steps.train_step` of a run."""

    def __call__(
        self, state: TrainState, batch: Batch, /
    ) -> tuple[TrainState, Float32[jax.Array, ""]]:
        """Returns the state after a batch, and the batch's loss; donates the state it is given."""
        ...


@runtime_checkable
class TrainSteps(Protocol):
    """`device_epoch.train_steps` of a run."""

    def __call__(
        self, state: TrainState, faces: DeviceFaces, rows: Int32[Array, "steps batch"], /, size: int
    ) -> tuple[TrainState, Float32[jax.Array, " steps"]]:
        """Returns the state after a step for each row, and the losses; donates the state."""
        ...


@runtime_checkable
class StatisticsStep(Protocol):
    """`steps.statistics_step` of a run."""

    def __call__(
        self, variables: Variables, sums: Variables, faces: UInt8[Array, "batch height width"], /
    ) -> Variables:
        """Returns the sums with batch norm's statistics of the faces added."""
        ...


@runtime_checkable
class EndEpoch(Protocol):
    """`steps.end_epoch` of a run."""

    def __call__(self, state: TrainState, validation_loss: np.float32, /) -> TrainState:
        """Returns the next epoch's state, given the validation loss; donates the state it is given."""
        ...


@dataclasses.dataclass(frozen=True)
class Steps:
    """A run's jitted functions, each compiled once per face size, and the devices they run on.

    `faces` are on the devices if `config.data.on_device` is set, otherwise None.
    """

    mesh: Mesh
    init: Init
    train: TrainStep
    faces: DeviceFaces | None
    train_on: TrainSteps
    evaluate: EvalStep
    statistics: StatisticsStep
    end_epoch: EndEpoch


class Program(NamedTuple):
    """What a run does, and the compiled steps that do it."""

    plan: Plan
    steps: Steps


def assemble(
    config: Config,
    *,
    train: Faces,
    validation: Faces,
    mesh: Mesh,
    taught: Float32[np.ndarray, "faces 7"] | None = None,
    start: Variables | None = None,
) -> Program:
    """Returns the program of a run on these faces.

    Args:
        config: with the number of epochs resolved (1 or more).
        train: N >= 1 faces.
        validation: 1 or more faces.
        mesh: with the axis "data", over which a batch divides evenly.
        taught: teachers' probabilities to blend into the targets.
        start: variables of the same network to start from; None: random ones.
    """
    plan = make_plan(
        config,
        train=train,
        validation=validation,
        taught=taught,
        starts_trained=start is not None,
    )
    return Program(plan, _steps(plan, mesh=mesh, start=start))


def _steps(plan: Plan, *, mesh: Mesh, start: Variables | None) -> Steps:
    config = plan.config
    on_one_cpu = [device.platform for device in mesh.devices.flat] == ["cpu"]
    build = functools.partial(
        models.build,
        config.model.name,
        dtype=config.model.dtype,
        im2col=on_one_cpu and config.model.dtype == "bfloat16",
    )
    model = build(dropout=config.model.dropout)
    optimizer = optim.optimizer(config.optim, plan.schedule)
    plateau = optim.plateau(config.optim.plateau)
    weights = losses.class_weights(plan.train.labels, scheme=config.loss.class_weights)
    root = jax.random.key(config.seed)
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
    statistics_step = functools.partial(
        steps.statistics_step, model=build(dropout=0.0, momentum=0.0)
    )
    end_epoch = functools.partial(steps.end_epoch, plateau=plateau, config=config)
    train_steps = functools.partial(
        device_epoch.train_steps,
        train_step=train_step,
        root=root,
        config=config.augment,
        mesh=mesh,
    )
    jit = functools.partial(jax.jit, out_shardings=sharding.replicated(mesh))
    return Steps(
        mesh=mesh,
        init=functools.partial(jit(create), root, start=start),
        train=jit(train_step, donate_argnums=0),
        faces=device_epoch.put_faces(plan, mesh) if config.data.on_device else None,
        train_on=jit(train_steps, donate_argnums=0, static_argnames="size"),
        evaluate=compile_eval_step(model, mesh),
        statistics=jit(statistics_step),
        end_epoch=jit(end_epoch, donate_argnums=0),
    )


def validate(
    program: Program, variables: Variables, faces: Faces, *, size: int = FACE_SIZE
) -> tuple[dict[str, Any], Float32[np.ndarray, "faces 7"]]:
    """`evaluate` with a run's step, mesh and batch size, on faces of `size` pixels a side."""
    if size != FACE_SIZE:
        faces = dataclasses.replace(faces, images=resolution.resized(faces.images, size))
    plan, steps = program
    return evaluate(
        steps.evaluate,
        variables,
        faces,
        mesh=steps.mesh,
        batch_size=plan.config.eval_batch_size,
    )
