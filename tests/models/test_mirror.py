"""Networks that give a face and its mirror image the same logits, also after training steps."""

import functools

import jax
import numpy as np
import optax
import pytest

from fer_jax.data.in_memory import Batch, one_hot
from fer_jax.models.mirror import tied
from fer_jax.models.resnet import ResNet
from fer_jax.models.standardise import standardise
from fer_jax.training import optim, state, steps
from tests.factories import pattern_faces, short_config
from tests.small_checkpoint import random_variables

SHAPE = {"widths": (4, 6, 8), "blocks": (1, 1, 2), "dropout": 0.0}
MIRRORED, PLAIN = ResNet(**SHAPE, mirrored=True), ResNet(**SHAPE)


def difference(model, variables):
    """Returns the largest between logits of noise and of its mirror images, in standard deviations."""
    faces = standardise(np.random.default_rng(0).integers(0, 256, (6, 48, 48), dtype=np.uint8))
    logits = jax.jit(lambda given: model.apply(variables, given, train=False))
    one, other = logits(faces), logits(faces[:, :, ::-1])
    return float(np.abs(one - other).max() / np.std(one))


def tied_variables(model):
    return {kind: tied(model, tree) for kind, tree in random_variables(model).items()}


def test_only_tied_weights_give_a_face_and_its_mirror_image_the_same_logits():
    assert difference(MIRRORED, random_variables(MIRRORED)) > 0.1
    assert difference(MIRRORED, tied_variables(MIRRORED)) < 1e-4


def test_tied_weights_stay_as_they_are():
    variables = tied_variables(MIRRORED)
    jax.tree.map(
        np.testing.assert_array_equal, tied(MIRRORED, variables["params"]), variables["params"]
    )


@pytest.mark.parametrize("change", [{"widths": (4, 5, 8)}, {"space_to_depth": False}])
def test_a_shape_that_cannot_be_mirrored_is_refused(change):
    with pytest.raises(ValueError, match="even widths and space_to_depth"):
        ResNet(**{**SHAPE, **change}, mirrored=True)


def test_the_weights_of_other_networks_are_left_alone():
    variables = random_variables(PLAIN)
    assert tied(PLAIN, variables["params"]) is variables["params"]


def test_what_tying_takes_away_is_at_right_angles_to_all_tied_weights():
    """So a tied gradient leads down as steeply as weights that stay tied can go."""
    rng = np.random.default_rng(1)
    params = random_variables(MIRRORED)["params"]
    gradient = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), params)
    nearest = tied(MIRRORED, gradient)
    rest = optax.tree.sub(gradient, nearest)
    for other in (nearest, tied(MIRRORED, params)):
        assert abs(optax.tree.vdot(rest, other)) < 1e-2


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_weights_and_statistics_stay_tied_in_training(optimizer):
    config = short_config(optim__name=optimizer, ema_decay=0.5)
    rule = optim.optimizer(config.optim, lambda step: 0.01)
    faces = pattern_faces(21)
    batch = Batch(faces.images, faces.labels, one_hot(faces.labels), np.ones(21, np.float32))
    before = jax.jit(
        lambda key: state.create(
            key,
            model=MIRRORED,
            optimizer=rule,
            plateau=optim.plateau(config.optim.plateau),
            ema=True,
        )
    )(jax.random.key(0))
    step = jax.jit(
        lambda now: steps.train_step(
            now,
            batch,
            root=jax.random.key(1),
            weights=np.ones(7, np.float32),
            model=MIRRORED,
            optimizer=rule,
            config=config,
        )
    )
    after, losses = before, []
    for _ in range(10):
        after, loss = step(after)
        losses.append(float(loss))
    assert losses[-1] < losses[0]
    assert difference(MIRRORED, after.variables) < 1e-3
    assert difference(MIRRORED, after.ema) < 1e-3
    zeros = jax.tree.map(np.zeros_like, after.variables["batch_stats"])
    forgetful = ResNet(**SHAPE, mirrored=True, momentum=0.0)
    anew = jax.jit(functools.partial(steps.statistics_step, model=forgetful))(
        after.variables, zeros, faces.images
    )
    assert difference(MIRRORED, {**after.variables, "batch_stats": anew}) < 1e-3
