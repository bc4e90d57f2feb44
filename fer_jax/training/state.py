"""`TrainState`: everything that changes during a run, as one pytree."""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Bool, Float32, Int32

from fer_jax.evaluation.metrics import Sums
from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.models import mirror
from fer_jax.saved_model import Variables


class Norms(NamedTuple):
    """Global L2 norms, summed over the steps of an epoch so far.

    Attributes:
        gradient: before clipping.
        update: of what was added to the parameters.
    """

    gradient: Float32[jax.Array, ""]
    update: Float32[jax.Array, ""]

    @staticmethod
    def zero() -> Norms:
        """No step yet."""
        return Norms(jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32))

    def add(self, *, gradient: optax.Updates, update: optax.Updates) -> Norms:
        """Counts a step's gradient and update, both shaped as the parameters."""
        return Norms(
            self.gradient + optax.tree.norm(gradient), self.update + optax.tree.norm(update)
        )


class TrainState(flax.struct.PyTreeNode):
    """The state of training. Model, optimiser and configuration are bound to the steps instead.

    Attributes:
        step: steps taken.
        variables: float32 params and batch_stats of the network.
        ema: their exponential moving average, {} when it is off.
        opt_state: of the optimiser chain.
        plateau: optax's ReduceLROnPlateauState.
        ran_out: whether the plateau schedule has ended.
        sums: of the epoch so far; part of the state so that a run stopped inside an epoch resumes.
        norms: of the epoch so far, for the same reason.
    """

    step: Int32[jax.Array, ""]
    variables: Variables
    ema: Variables
    opt_state: optax.OptState
    plateau: Any
    ran_out: Bool[jax.Array, ""]
    sums: Sums
    norms: Norms

    @property
    def evaluated(self) -> Variables:
        """The weights to evaluate, keep and ship: averaged if averaging is on."""
        return self.ema or self.variables


def create(
    key: jax.Array,
    *,
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    plateau: optax.GradientTransformationExtraArgs,
    ema: bool,
    start: Variables | None = None,
) -> TrainState:
    """Returns the state before the first step. Pure: `jax.eval_shape` gives its shapes.

    `start` holds initial variables to use instead of random ones. Either are tied if the network is
    mirrored; random kernels then have less deviation, by the root of 2, which batch norm undoes.
    """
    if start is None:
        faces = jnp.zeros((1, FACE_SIZE, FACE_SIZE, 1), jnp.float32)
        start = dict(model.init(key, faces, train=False))
    variables = {kind: mirror.tied(model, tree) for kind, tree in start.items()}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        variables=variables,
        # A copy: the state is donated to the step, and a buffer can be donated only once.
        ema=jax.tree.map(jnp.copy, variables) if ema else {},
        opt_state=optimizer.init(variables["params"]),
        plateau=plateau.init(variables["params"]),
        ran_out=jnp.zeros((), bool),
        sums=Sums.zero(),
        norms=Norms.zero(),
    )
