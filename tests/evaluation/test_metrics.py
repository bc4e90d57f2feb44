import numpy as np
import pytest
import scipy.stats
from sklearn import metrics as sklearn_metrics

from fer_jax.evaluation import metrics
from fer_jax.evaluation.metrics import Sums
from fer_jax.evaluation.reports import fit_temperature
from fer_jax.expressions import EXPRESSIONS
from fer_jax.models.probabilities import softmax


@pytest.fixture
def guesses():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, 400)
    logits = rng.normal(size=(400, 7)) + 1.5 * np.eye(7)[labels]
    return softmax(logits), labels


def test_figures_agree_with_scikit_learn(guesses):
    probabilities, labels = guesses
    predicted = probabilities.argmax(axis=1)
    report = metrics.report(probabilities, labels)
    assert report["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(labels, predicted))
    assert report["uar"] == pytest.approx(
        sklearn_metrics.balanced_accuracy_score(labels, predicted)
    )
    assert report["macro_f1"] == pytest.approx(
        sklearn_metrics.f1_score(labels, predicted, average="macro")
    )
    assert report["loss"] == pytest.approx(sklearn_metrics.log_loss(labels, probabilities))
    np.testing.assert_array_equal(
        report["confusion"], sklearn_metrics.confusion_matrix(labels, predicted)
    )
    expected = sklearn_metrics.precision_recall_fscore_support(labels, predicted)
    for k, name in enumerate(EXPRESSIONS):
        figures = [
            report["per_class"][name][key] for key in ("precision", "recall", "f1", "support")
        ]
        np.testing.assert_allclose(figures, [column[k] for column in expected])


def test_an_absent_class_is_left_out_of_the_averages():
    confusion = np.zeros((7, 7), int)
    confusion[0, 0], confusion[1, 0], confusion[1, 1] = 4, 1, 1
    figures = metrics.figures(confusion, loss=0.0)
    assert figures["uar"] == pytest.approx(0.75)
    assert figures["macro_f1"] == pytest.approx((8 / 9 + 2 / 3) / 2)


def test_sums_over_padded_batches_give_the_figures_of_the_whole_set(guesses):
    probabilities, labels = guesses
    logits, loss = np.log(probabilities), -np.log(probabilities[np.arange(400), labels])
    total = Sums.zero()
    for start in range(0, 400, 96):
        rows = np.arange(start, start + 96)
        weight = (rows < 400).astype(np.float32)
        rows = np.minimum(rows, 399)
        total = total.add(loss=loss[rows], logits=logits[rows], label=labels[rows], weight=weight)
    whole = metrics.report(probabilities, labels)
    np.testing.assert_array_equal(total.confusion, whole["confusion"])
    assert float(total.loss) / 400 == pytest.approx(whole["loss"], rel=1e-5)


@pytest.mark.parametrize(("hits", "count"), [(2400, 3589), (0, 10), (10, 10), (1, 3)])
def test_the_interval_is_wilsons(hits, count):
    expected = scipy.stats.binomtest(hits, count).proportion_ci(0.95, method="wilson")
    low, high = metrics.wilson_interval(hits, count)
    assert (low, high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_the_interval_of_no_examples_is_0_to_1():
    assert metrics.wilson_interval(0, 0) == (0.0, 1.0)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    probabilities = np.full((100, 7), 0.2 / 6)
    probabilities[:, 0] = 0.8
    labels = np.array([0] * 60 + [1] * 40)
    assert metrics.calibration_error(probabilities, labels) == pytest.approx(0.2)


def test_the_fitted_temperature_undoes_overconfidence(guesses):
    probabilities, labels = guesses
    logits = np.log(probabilities)
    assert fit_temperature(3 * logits, labels) == pytest.approx(
        3 * fit_temperature(logits, labels), rel=1e-3
    )
