import json
import re

import pytest

from fer_jax.exporting.model_card import model_card
from fer_jax.exporting.release import release, size
from fer_jax.exporting.speed import measure_speed
from fer_jax.machine.processor import cpu_name
from fer_jax.saved_model import load_model
from tests.small_checkpoint import write_workdir

FIGURES = {
    "parameters": 1_356_007,
    "checkpoint_bytes": 5_045_000,
    "milliseconds_one_face": 1.236,
    "batch_size": 64,
    "faces_per_second": 1234.4,
    "processor": "Example 9000",
    "platform": "cpu",
    "cores": 2,
    "jax": "0.10.2",
}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return write_workdir(tmp_path_factory.mktemp("run") / "small")


@pytest.fixture
def card(workdir):
    report = json.loads((workdir / "report.json").read_text())
    return {**json.loads((workdir / "card.json").read_text()), "report": report}


def in_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_a_card_states_how_its_weights_were_finished(card):
    assert "log frequencies" not in model_card(card)
    config = {**card["config"], "recalibrate": True}
    config["loss"] = {**config["loss"], "logit_adjustment": 0.3}
    text = in_one_line(model_card({**card, "config": config}))
    assert "statistics were recomputed on the unaugmented training faces." in text
    assert "0.3 of the log frequencies is subtracted from its logits" in text
    config["loss"] = {**config["loss"], "logit_adjustment_below": 1 / 7}
    text = in_one_line(model_card({**card, "config": config}))
    assert "0.3 of log(frequency / 0.143) of expressions rarer than 14.3 % is subtracted" in text


def test_a_card_states_the_speed_and_the_machine(card):
    text = in_one_line(model_card({**card, "speed": FIGURES}))
    assert "On Example 9000, 2 cores: one face takes 1.2 ms (median)" in text
    assert "batches of 64 make 1,234 faces a second (jax 0.10.2, cpu)" in text
    assert "1,356,007 parameters, take 5.0 MB" in text
    lent = {**FIGURES, "processor": "Example GPU", "platform": "gpu", "cores": 1}
    assert "On Example GPU, one device with 1 core: " in in_one_line(
        model_card({**card, "speed": lent})
    )


def test_a_card_without_a_measured_speed_lacks_only_that_section(card):
    before, after = model_card(card), model_card({**card, "speed": FIGURES})
    (added,) = re.findall(r"(?s)## Speed and size.*?(?=## )", after)
    assert before == after.replace(added, "")


def test_a_release_measures_its_speed_and_shows_it(workdir, tmp_path):
    out = release(workdir, out=tmp_path / "pretrained")
    card = json.loads((out / "card.json").read_text())
    speed = card["speed"]
    assert speed.keys() == FIGURES.keys()  # therefore no hosts or folders
    assert speed["parameters"] == card["parameters"]
    assert speed["checkpoint_bytes"] == size(out / "model")
    assert speed["processor"] == cpu_name()
    assert speed["faces_per_second"] > 0
    assert speed["milliseconds_one_face"] > 0
    assert (out / "MODEL_CARD.md").read_text() == model_card(card)


def test_speed_is_the_median_time_of_a_call(workdir):
    ticks = [0.0]
    steps = iter(
        (5.0, 0.1, 0.2, 0.3, 0.4, 1.0, 1.0, 3.0, 2.0, 9.0)
    )  # five calls with one face, five with 64

    def clock() -> float:
        ticks.append(ticks[-1] + (next(steps) if len(ticks) % 2 == 0 else 0.0))
        return ticks[-1]

    speed = measure_speed(load_model(workdir), checkpoint_bytes=1, clock=clock)
    assert speed["milliseconds_one_face"] == pytest.approx(300)
    assert speed["faces_per_second"] == pytest.approx(64 / 2)
    assert next(steps, None) is None


def test_a_card_states_initial_weights_and_teachers(card):
    assert "initialised with" not in model_card(card)
    lineage = {"start": "0" * 64, "teacher": f"{'1' * 64},{'2' * 64}"}
    text = in_one_line(model_card({**card, **lineage}))
    assert "It was initialised with the weights of the network `000000000000`." in text
    several = {"start": f"{'3' * 64},{'4' * 64}"}
    text = in_one_line(model_card({**card, **lineage, **several}))
    assert (
        "It was initialised with the mean of the weights of `333333333333`, `444444444444`." in text
    )
    assert (
        "learned from the outputs of `111111111111`, `222222222222` on the training faces" in text
    )


def test_a_card_states_whose_labels_the_network_learned(card):
    assert "Its labels are those of FER2013" in model_card(card)
    config = {**card["config"], "data": {**card["config"]["data"], "labels": "votes"}}
    dataset = {**card["dataset"], "votes": {"left_out": {"train": 1234, "validation": 56}}}
    text = in_one_line(model_card({**card, "config": config, "dataset": dataset}))
    assert "Its labels are what most of FER+'s ten people see" in text
    assert "1,234 faces without any other vote were left out" in text
    assert "56 validation faces without one do not count" in text
