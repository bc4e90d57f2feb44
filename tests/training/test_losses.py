from __future__ import annotations

import jax
import numpy as np
import pytest

from fer_jax.config import LossConfig
from fer_jax.data.in_memory import one_hot
from fer_jax.training import losses

COUNT, SIDE = 7, 12


def examples() -> tuple[jax.Array, jax.Array]:
    """Blank images whose grey level and label are their index in the batch."""
    image = np.broadcast_to(
        np.arange(COUNT, dtype=np.float32)[:, None, None, None], (COUNT, SIDE, SIDE, 1)
    )
    return jax.numpy.asarray(image), jax.numpy.asarray(one_hot(np.arange(COUNT)))


def mixed(seed: int, **config: float) -> tuple[np.ndarray, np.ndarray]:
    """Images and targets of `examples` after mixing."""
    image, target = losses.mix(jax.random.key(seed), *examples(), config=LossConfig(**config))
    assert (image.shape, image.dtype) == ((COUNT, SIDE, SIDE, 1), np.float32)
    assert (target.shape, target.dtype) == ((COUNT, 7), np.float32)
    return np.asarray(image), np.asarray(target)


def share_of_first(target: np.ndarray) -> float:
    """The share of its own label that each example kept, checked to be the same for all."""
    own = np.diag(target)
    mirrored = np.diag(target[:, ::-1])
    middle = COUNT // 2  # is mixed with itself
    for k in range(COUNT):
        expected = 1.0 if k == middle else own[0]
        assert own[k] == pytest.approx(expected, abs=1e-6)
        assert own[k] + (mirrored[k] if k != middle else 0) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(target.sum(axis=1), 1, atol=1e-6)
    return float(own[0])


def is_blend(image: np.ndarray) -> bool:
    """Whether each image has a single grey level, as sums of blank images do."""
    return bool(np.ptp(image, axis=(1, 2, 3)).max() < 1e-5)


def test_balanced_weights_are_inverse_to_the_frequency_and_average_one_over_the_examples():
    labels = np.repeat([0, 3, 4], [1, 2, 5])
    weights = losses.class_weights(labels, scheme="balanced")
    assert (weights.shape, weights.dtype) == ((7,), np.float32)
    assert weights[0] == pytest.approx(2 * weights[3]) == pytest.approx(5 * weights[4])
    assert weights[labels].mean() == pytest.approx(1)
    assert np.isfinite(weights).all()  # also those of classes without an example


def test_without_a_scheme_every_class_weighs_one():
    weights = losses.class_weights(np.array([0, 0, 0, 5]), scheme="none")
    assert weights.dtype == np.float32
    assert weights.tolist() == [1.0] * 7


def test_cross_entropy_is_against_the_whole_smoothed_distribution():
    logits = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
    target = np.random.default_rng(1).dirichlet(np.ones(7), size=3).astype(np.float32)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    for smoothing in (0.0, 0.2):
        spread = (1 - smoothing) * target + smoothing / 7
        found = losses.cross_entropy(jax.numpy.asarray(logits), target, label_smoothing=smoothing)
        np.testing.assert_allclose(found, -(spread * logs).sum(axis=1), rtol=1e-5)


def test_nothing_is_mixed_unless_it_is_configured():
    image, target = examples()
    found = losses.mix(jax.random.key(0), image, target, config=LossConfig())
    assert found[0] is image
    assert found[1] is target


def test_mixup_adds_images_and_targets_in_the_same_share():
    shares = []
    for seed in range(8):
        image, target = mixed(seed, mixup=0.4)
        share = share_of_first(target)
        assert is_blend(image)
        own = np.arange(COUNT)
        np.testing.assert_allclose(
            image[:, 0, 0, 0], share * own + (1 - share) * own[::-1], atol=1e-5
        )
        shares.append(share)
    assert min(shares) < 0.2
    assert max(shares) > 0.8


def test_cutmix_pastes_a_rectangle_and_mixes_targets_by_its_area():
    shares = []
    for seed in range(8):
        image, target = mixed(seed, cutmix=1.0)
        pasted = image[0, :, :, 0] == COUNT - 1
        assert (pasted | (image[0, :, :, 0] == 0)).all()
        rows, columns = np.flatnonzero(pasted.any(axis=1)), np.flatnonzero(pasted.any(axis=0))
        assert pasted[np.ix_(rows, columns)].all()
        if len(rows):
            assert np.ptp(rows) == len(rows) - 1
            assert np.ptp(columns) == len(columns) - 1
        shares.append(share_of_first(target))
        assert shares[-1] == pytest.approx(1 - pasted.mean(), abs=1e-6)
    assert 0 < min(shares) < max(shares) <= 1


def test_with_mixup_and_cutmix_a_coin_flip_decides_for_the_whole_batch():
    blends = [is_blend(mixed(seed, mixup=0.4, cutmix=1.0)[0]) for seed in range(20)]
    assert 4 <= sum(blends) <= 16


def test_the_same_key_mixes_the_same_way_and_another_one_does_not():
    once, again, other = (mixed(seed, mixup=0.4)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - other).max() > 1e-3
