"""`Program`: what a run is made of and what never changes in it - data, order, compiled steps."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from fer_jax import models
from fer_jax.config import Config
from fer_jax.data import votes
from fer_jax.data.faces import Faces
from fer_jax.data.in_memory import Batch, TrainingOrder, one_hot
from fer_jax.data.randomness import host_generator
from fer_jax.evaluation.evaluation import compile_eval_step, evaluate
from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.machine import sharding
from fer_jax.saved_model import Variables
from fer_jax.training import losses, optim, resolution, state, steps
from fer_jax.training.augment import augment
from fer_jax.training.distillation import blend
from fer_jax.training.state import TrainState


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """A run's constant parts: data, compiled steps and the order of things.

    Attributes:
        config: of the run; `config.epochs` is the real number.
        train: training faces.
        targets: float32 [N, 7], what the loss of each training face is taken against.
        example_weights: float32 [N], of each training face in the loss, averaging 1.
        validation: validation faces.
        mesh: the devices.
        order: which faces each step sees.
        learning_rates: float32 [total_steps], of each step before the plateau's scale.
        starts_trained: whether a run begins with trained weights.
        init: () -> the state before the first step, replicated over the mesh.
        train_step: state, batch -> state, loss; compiled once a face size, donates the state.
        eval_step: variables, sums, batch -> sums, logits; compiled once a face size.
        statistics_step: variables, sums, faces -> sums; compiled once a face size.
        end_epoch: state, validation loss -> state.
    """

    config: Config
    train: Faces
    targets: np.ndarray
    example_weights: np.ndarray
    validation: Faces
    mesh: Mesh
    order: TrainingOrder
    learning_rates: np.ndarray
    starts_trained: bool
    init: Callable[[], TrainState]
    train_step: Callable[..., Any]
    eval_step: Callable[..., Any]
    statistics_step: Callable[..., Any]
    end_epoch: Callable[..., TrainState]

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.order.end_of_epoch(self.config.epochs)

    def face_size(self, step: int) -> int:
        """Side in pixels of the faces that `step`, counted from 0, trains on."""
        config = self.config.resolution
        return resolution.face_size(step, total_steps=self.total_steps, config=config)


def assemble(
    config: Config,
    *,
    train: Faces,
    validation: Faces,
    mesh: Mesh,
    taught: np.ndarray | None = None,
    start: Variables | None = None,
) -> Program:
    """Returns the compiled parts of a run on these faces.

    Args:
        config: with the number of epochs resolved (1 or more).
        train: N >= 1 faces.
        validation: 1 or more faces.
        mesh: with the axis "data", over which a batch divides evenly.
        taught: float32 [N, 7], teachers' probabilities to blend into the targets.
        start: variables of the same network to begin from; None: random ones.
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
    goals, example_weights = _goals(train, labels=config.data.labels)
    if taught is not None:
        goals = blend(goals, taught, share=config.loss.teacher_share)
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
        targets=goals,
        example_weights=example_weights,
        validation=validation,
        mesh=mesh,
        order=order,
        learning_rates=np.asarray(jax.vmap(schedule)(np.arange(total))),
        starts_trained=start is not None,
        init=functools.partial(jax.jit(create, out_shardings=everywhere), root, start=start),
        train_step=jax.jit(train_step, donate_argnums=0, out_shardings=everywhere),
        eval_step=compile_eval_step(model),
        statistics_step=jax.jit(
            functools.partial(
                steps.statistics_step,
                model=models.build(
                    config.model.name, dropout=0.0, momentum=0.0, dtype=config.model.dtype
                ),
            ),
            out_shardings=everywhere,
        ),
        end_epoch=jax.jit(
            functools.partial(steps.end_epoch, plateau=plateau, config=config),
            donate_argnums=0,
            out_shardings=everywhere,
        ),
    )


def _goals(train: Faces, *, labels: str) -> tuple[np.ndarray, np.ndarray]:
    """What the loss of each face is taken against, float32 [N, 7], and its weight there, float32 [N]."""
    if labels == "own" or train.votes is None:
        return one_hot(train.labels), np.ones(len(train), np.float32)
    weights = votes.weights(train.votes)
    return votes.shares(train.votes), weights / weights.mean()


def training_batch(program: Program, step: int) -> Batch:
    """Returns the batch of `step`, augmented: a function of the run's seed and the step alone."""
    config = program.config
    rows = program.order.indices(step)
    generator = host_generator(config.seed, "augment", step)
    return Batch(
        image=augment(
            program.train.images[rows],
            generator,
            config=config.augment,
            size=program.face_size(step),
        ),
        label=program.train.labels[rows],
        target=program.targets[rows],
        weight=program.example_weights[rows],
    )


def validate(
    program: Program, variables: Variables, faces: Faces, *, size: int = FACE_SIZE
) -> tuple[dict[str, Any], np.ndarray]:
    """`evaluate` with a run's own step, mesh and batch size, on faces of `size` pixels a side."""
    if size != FACE_SIZE:
        faces = dataclasses.replace(faces, images=resolution.resized(faces.images, size))
    return evaluate(
        program.eval_step,
        variables,
        faces,
        mesh=program.mesh,
        batch_size=program.config.eval_batch_size,
    )
