import dataclasses

import numpy as np
import pytest

from fer_jax.data.faces import Faces
from fer_jax.errors import DataError
from fer_jax.evaluation.groups import group_report, measured_groups, read_groups

NAMES = ("train/happy/1.png", "train/happy/2.png", "train/sad/2.png", "train/sad/3.png")


def written(tmp_path, text):
    path = tmp_path / "metadata.csv"
    path.write_text(text)
    return path


def test_faces_are_found_by_name_or_by_a_unique_last_part(tmp_path):
    path = written(
        tmp_path,
        "name, light, age\n1.png, day, 20\n2.png, night, 30\ntrain/sad/2.png, night,\nelse.png, x, 1\n",
    )
    groups = read_groups(path, NAMES)
    assert list(groups["light"]) == ["day", "", "night", ""]
    assert list(groups["age"]) == ["20", "", "", ""]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "found nothing"),
        ("name\n1.png\n", "one or more columns of groups"),
        ("age,light\n20,day\n", "found age, light"),
        ("name,light\nother.png,day\n", "train/happy/1.png"),
    ],
)
def test_a_file_that_names_no_group_or_no_face_is_refused(tmp_path, text, expected):
    path = written(tmp_path, text)
    with pytest.raises(DataError, match=expected) as refused:
        read_groups(path, NAMES)
    assert str(path) in str(refused.value)


def test_each_group_has_figures_and_the_largest_gap_has_an_interval():
    labels = np.zeros(200, np.int64)
    probabilities = np.zeros((200, 7))
    probabilities[:, 1] = 1
    probabilities[:80] = np.eye(7)[0]  # right
    values = np.array(["day"] * 100 + ["night"] * 80 + [""] * 20, object)
    told = group_report(probabilities, labels, {"light": values})["light"]
    assert told["unknown"] == 20
    assert {name: figures["accuracy"] for name, figures in told["groups"].items()} == {
        "day": 0.8,
        "night": 0.0,
    }
    gap = told["largest_gap"]
    assert (gap["from"], gap["to"], gap["accuracy"]) == ("night", "day", 0.8)
    # 80 of 100 against 0 of 80, computed by hand from Newcombe's formula.
    assert gap["interval"] == pytest.approx([0.6999, 0.8667], abs=2e-3)
    assert told["groups"]["day"]["count"] == 100


def test_faces_are_grouped_by_measured_properties_and_by_votes():
    ramp = np.tile(np.arange(48, dtype=np.uint8), (48, 1))  # the lightest has the most contrast
    images = np.stack([ramp, 2 * ramp, 5 * ramp])
    votes = np.zeros((3, 10), np.float32)
    votes[:, 0] = (10, 8, 6)  # neutral
    votes[:, 1] = (0, 2, 4)  # happy
    faces = Faces(images, np.zeros(3, np.int32), ("a", "b", "c"), votes)
    groups = measured_groups(faces)
    assert list(groups["light"]) == ["bottom third", "middle third", "top third"]
    assert list(groups["contrast"]) == ["bottom third", "middle third", "top third"]
    assert list(groups["agreement"]) == ["90 to 100 %", "70 to 90 %", "0 to 70 %"]
    assert "agreement" not in measured_groups(dataclasses.replace(faces, votes=None))
