import numpy as np
import pytest

from fer_jax.data import votes
from fer_jax.data.faces import Faces
from fer_jax.expressions import EXPRESSIONS, FERPLUS_COLUMNS
from tests.factories import pattern_faces


def row(**counts: int) -> list[float]:
    return [float(counts.get(column, 0)) for column in FERPLUS_COLUMNS]


CLEAR = row(happiness=9, surprise=1)
SPLIT = row(sadness=5, neutral=5)
CONTEMPT = row(contempt=6, anger=4)
UNSURE = row(anger=5, unknown=3, sadness=2)  # exactly half is not a majority
NOBODY = row(NF=10)
SLIPS = row(unknown=6, anger=1, fear=1, sadness=1, NF=1)
TABLE = np.array([CLEAR, SPLIT, CONTEMPT, UNSURE, NOBODY, SLIPS], np.float32)


def index(name: str) -> int:
    return EXPRESSIONS.index(name)


def test_a_majority_is_more_than_half_of_the_votes_left_without_slips():
    assert votes.majority(TABLE).tolist() == [index("happy"), -1, -1, -1, -1, -1]
    nearly = np.array([row(anger=4, sadness=3, fear=1, disgust=1, unknown=1)], np.float32)
    assert votes.majority(nearly).tolist() == [index("angry")]  # 4 of 7


def test_shares_count_the_seven_and_weights_count_all_votes_cast():
    shares = votes.shares(TABLE)
    assert shares.dtype == np.float32
    assert shares[0, index("happy")] == 1
    assert shares[1, [index("sad"), index("neutral")]].tolist() == [0.5, 0.5]
    assert shares[2, index("angry")] == 1
    np.testing.assert_allclose(shares[3, [index("angry"), index("sad")]], [5 / 7, 2 / 7], rtol=1e-6)
    assert not shares[4:].any()
    np.testing.assert_allclose(votes.weights(TABLE), [0.9, 1, 0.4, 0.7, 0, 0], rtol=1e-6)


def test_faces_are_labelled_by_their_majority_or_left_out():
    plain = pattern_faces(len(TABLE))
    faces = Faces(plain.images, plain.labels, plain.names, TABLE)
    judged = votes.judged(faces)
    assert judged.names == plain.names[:4]
    assert [EXPRESSIONS[k] for k in judged.labels] == ["happy", "neutral", "angry", "angry"]
    agreed = votes.agreed(faces)
    assert agreed.names == plain.names[:1]
    np.testing.assert_array_equal(agreed.images, plain.images[:1])
    for each in (judged, agreed):
        assert each.labels.dtype == np.int32
    with pytest.raises(ValueError, match="no votes"):
        votes.agreed(plain)


def test_no_faces_give_empty_results():
    none = np.empty((0, len(FERPLUS_COLUMNS)), np.float32)
    assert votes.majority(none).shape == (0,)
    assert votes.shares(none).shape == (0, 7)


def test_a_majority_agrees_on_3183_faces_of_public_test(fer2013):
    table = fer2013[1].splits["validation"].votes
    assert table is not None
    assert len(table) == 3_576
    assert np.count_nonzero(votes.majority(table) >= 0) == 3_183
