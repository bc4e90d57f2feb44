"""`Plan`: the data of a run that never changes, and the batch of each step as a function of it."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import optax
from jaxtyping import Float32

from fer_jax.config import Config
from fer_jax.data import votes
from fer_jax.data.faces import Faces
from fer_jax.data.in_memory import Batch, TrainingOrder, one_hot
from fer_jax.data.randomness import host_generator
from fer_jax.training import optim, resolution
from fer_jax.training.augment import augment
from fer_jax.training.distillation import blend

_ALL = slice(None)


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What a run trains and validates on, and in which order.

    Attributes:
        config: of the run; `config.epochs` is the real number.
        train: training faces.
        targets: the target of each training face in the loss.
        example_weights: the weight of each training face in the loss, averaging 1.
        validation: validation faces.
        order: which faces each step sees.
        schedule: step -> learning rate before the plateau's scale.
        learning_rates: the schedule's value at each step.
        starts_trained: whether the run starts from trained weights.
    """

    config: Config
    train: Faces
    targets: Float32[np.ndarray, "faces 7"]
    example_weights: Float32[np.ndarray, " faces"]
    validation: Faces
    order: TrainingOrder
    schedule: optax.Schedule
    learning_rates: Float32[np.ndarray, " steps"]
    starts_trained: bool

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.order.end_of_epoch(self.config.epochs)

    def face_size(self, step: int) -> int:
        """Side in pixels of the faces that `step`, counted from 0, trains on."""
        config = self.config.resolution
        return resolution.face_size(step, total_steps=self.total_steps, config=config)


def make_plan(
    config: Config,
    *,
    train: Faces,
    validation: Faces,
    taught: Float32[np.ndarray, "faces 7"] | None,
    starts_trained: bool,
) -> Plan:
    """Returns the plan of a run; see `program.assemble` for the arguments."""
    order = TrainingOrder(
        train.labels, config.batch_size, config.seed, balanced=config.data.balanced_sampling
    )
    total = order.end_of_epoch(config.epochs)
    schedule = optim.learning_rate_schedule(
        config.optim, steps_per_epoch=total / config.epochs, total_steps=total
    )
    targets, example_weights = _targets(train, labels=config.data.labels)
    if taught is not None:
        targets = blend(targets, taught, share=config.loss.teacher_share)
    return Plan(
        config=config,
        train=train,
        targets=targets,
        example_weights=example_weights,
        validation=validation,
        order=order,
        schedule=schedule,
        learning_rates=np.asarray(jax.vmap(schedule)(np.arange(total))),
        starts_trained=starts_trained,
    )


def _targets(
    train: Faces, *, labels: str
) -> tuple[Float32[np.ndarray, "faces 7"], Float32[np.ndarray, " faces"]]:
    """Each face's target, and its weight in the loss."""
    if labels == "own" or train.votes is None:
        return one_hot(train.labels), np.ones(len(train), np.float32)
    weights = votes.weights(train.votes)
    return votes.shares(train.votes), weights / weights.mean()


def training_batch(plan: Plan, step: int, *, rows: slice = _ALL) -> Batch:
    """Returns `rows` of a step's batch, augmented: a function of only the run's seed and the step."""
    config = plan.config
    faces = plan.order.indices(step)
    own = faces[rows]
    generator = host_generator(config.seed, "augment", step)
    return Batch(
        image=augment(
            plan.train.images[faces],
            generator,
            config=config.augment,
            size=plan.face_size(step),
            rows=rows,
        ),
        label=plan.train.labels[own],
        target=plan.targets[own],
        weight=plan.example_weights[own],
    )
