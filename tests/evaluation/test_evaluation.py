"""Evaluation in batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fer_jax.data.in_memory import Batch
from fer_jax.evaluation.evaluation import evaluate
from fer_jax.evaluation.metrics import Sums
from fer_jax.machine import sharding
from tests.factories import pattern_faces


@pytest.mark.parametrize(("batch_size", "sizes"), [(5000, [10]), (4, [4, 4, 4])])
def test_batches_are_no_larger_than_the_number_of_faces(batch_size: int, sizes: list[int]) -> None:
    seen: list[int] = []

    def step(variables: Any, total: Sums, batch: Batch, /) -> tuple[Sums, np.ndarray]:
        seen.append(len(batch.label))
        return total, np.zeros((len(batch.label), 7), np.float32)

    faces = pattern_faces(10)
    mesh = sharding.data_mesh(devices=1, batch_size=batch_size)
    _, logits = evaluate(step, {}, faces, mesh=mesh, batch_size=batch_size)  # type: ignore[arg-type]
    assert seen == sizes
    assert logits.shape == (10, 7)
