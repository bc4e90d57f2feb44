"""The accuracy figures of the network benchmark."""

from pathlib import Path

import numpy as np
import pytest
from model_agreement import against_labels, in_our_order

from fer_jax.data.faces import Faces
from fer_jax.expressions import EXPRESSIONS, FERPLUS_COLUMNS


def test_answers_in_another_order_of_expressions_are_reordered():
    theirs = ("neutral", *sorted(set(EXPRESSIONS) - {"neutral"}, reverse=True))
    answers = np.stack([np.arange(7.0)] * 2)
    ours = in_our_order(answers, theirs)
    assert [theirs[int(k)] for k in ours[0]] == list(EXPRESSIONS)


def test_answers_are_compared_with_both_kinds_of_label():
    happy, sad = EXPRESSIONS.index("happy"), EXPRESSIONS.index("sad")
    votes = np.zeros((3, len(FERPLUS_COLUMNS)), np.float32)
    votes[:2, FERPLUS_COLUMNS.index("happiness")] = 10
    votes[2, FERPLUS_COLUMNS.index("sadness")] = votes[2, FERPLUS_COLUMNS.index("anger")] = 5
    labels = np.array([happy, sad, sad], np.int32)
    faces = Faces(np.zeros((3, 48, 48), np.uint8), labels, ("a", "b", "c"), votes)
    answers = np.eye(7)[[happy, happy, sad]]
    told = against_labels(answers, faces, data=Path("faces"))
    assert (told["votes"]["count"], told["votes"]["accuracy"]) == (2, 1.0)
    assert told["own"]["accuracy"] == pytest.approx(2 / 3)
