import numpy as np
import pytest

from fer_jax.data.in_memory import TrainingOrder, evaluation_batches
from tests.factories import pattern_faces


@pytest.mark.parametrize(("count", "batch"), [(100, 16), (64, 16), (17, 5), (5, 8)])
def test_every_face_is_seen_once_an_epoch(count, batch):
    order = TrainingOrder(np.zeros(count, np.int32), batch, seed=3)
    seen = np.concatenate([order.indices(step) for step in range(40)])
    for epoch in range(len(seen) // count):
        faces = seen[epoch * count : (epoch + 1) * count]
        assert sorted(faces) == list(range(count))


def test_epochs_differ_in_order_and_seeds_differ():
    first = TrainingOrder(np.zeros(64, np.int32), 64, seed=0)
    assert not np.array_equal(first.indices(0), first.indices(1))
    other = TrainingOrder(np.zeros(64, np.int32), 64, seed=1)
    assert not np.array_equal(first.indices(0), other.indices(0))


def test_the_faces_of_a_step_depend_only_on_the_step():
    walked = TrainingOrder(np.zeros(50, np.int32), 8, seed=0)
    there = [walked.indices(step) for step in range(30)]
    fresh = TrainingOrder(np.zeros(50, np.int32), 8, seed=0)
    np.testing.assert_array_equal(fresh.indices(29), there[29])


def test_an_epoch_has_at_least_one_step_and_covers_all_faces():
    assert [TrainingOrder(np.zeros(5, np.int32), 8, 0).end_of_epoch(e) for e in (1, 2, 3)] == [
        1,
        2,
        3,
    ]
    assert TrainingOrder(np.zeros(17, np.int32), 5, 0).end_of_epoch(2) == 7


def test_balanced_sampling_draws_all_expressions_equally_often():
    labels = np.array([0] * 970 + [1] * 30, np.int32)
    order = TrainingOrder(labels, 1000, seed=0, balanced=True)
    assert 0.4 < labels[order.indices(0)].mean() < 0.6


def test_evaluation_counts_every_face_once_in_order():
    faces = pattern_faces(21)
    batches = list(evaluation_batches(faces, batch_size=8))
    assert all(batch.image.shape == (8, 48, 48) for batch in batches)
    weights = np.concatenate([batch.weight for batch in batches])
    images = np.concatenate([batch.image for batch in batches])
    np.testing.assert_array_equal(images[weights > 0], faces.images)
