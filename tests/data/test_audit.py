"""The audit on planted flaws and on FER2013's, and what training therefore leaves out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import cv2
import matplotlib.cbook
import numpy as np
import pytest

from fer_jax.data.audit import Group, audit, excluded
from fer_jax.data.faces import Faces
from fer_jax.data.records import Reading
from fer_jax.data.sources import FaceSource
from fer_jax.faces.preprocess import FACE_SIZE, grey_face

ANGRY, FEAR, HAPPY = 0, 2, 3
BLANK = np.zeros((FACE_SIZE, FACE_SIZE), np.uint8)
# Where the face is in the photograph, and the size there of one of its 48 pixels.
LEFT, TOP, SIDE = 165, 95, 216
PIXEL = SIDE // FACE_SIZE


def scenery(seed: int, *, layout: int | None = None) -> np.ndarray:
    """An image with structure at all scales; images of one `layout` share the coarse half of it."""
    rng = np.random.default_rng(seed)
    coarse_rng = rng if layout is None else np.random.default_rng(layout)
    canvas = np.zeros((FACE_SIZE, FACE_SIZE))
    for blur, source in ((1, rng), (2, rng), (6, coarse_rng), (12, coarse_rng)):
        layer = cv2.GaussianBlur(source.normal(size=canvas.shape), (0, 0), blur)
        canvas += layer / layer.std() * np.sqrt(blur)
    return np.clip(128 + 15 * canvas, 0, 255).astype(np.uint8)


def photograph(*, left: int = LEFT, top: int = TOP, side: int = SIDE) -> np.ndarray:
    """The face in the photograph shipped with Matplotlib."""
    path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    return grey_face(np.ascontiguousarray(image[top : top + side, left : left + side]))


def faces(*entries: tuple[str, int, np.ndarray]) -> Faces:
    names, labels, images = zip(*entries, strict=True)
    return Faces(np.stack(images), np.array(labels, np.int32), names)


def names(groups: Iterable[Group]) -> list[list[str]]:
    return [[member.name for member in group] for group in groups]


def noisy(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 5, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def recompressed(image: np.ndarray) -> np.ndarray:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)


def test_identical_pixels_are_grouped_and_classified_by_split_and_label() -> None:
    found = audit(
        {
            "train": faces(
                ("a", HAPPY, scenery(1)),
                ("b", FEAR, scenery(2)),
                ("a again", HAPPY, scenery(1)),
                ("c", ANGRY, scenery(3)),
                ("d", ANGRY, scenery(4)),
            ),
            "validation": faces(
                ("c leaked", ANGRY, scenery(3)), ("d contradicted", FEAR, scenery(4))
            ),
        }
    )
    assert names(found.duplicates) == [["a", "a again"], ["c", "c leaked"], ["d", "d contradicted"]]
    assert names(found.cross_split) == [["c", "c leaked"], ["d", "d contradicted"]]
    assert names(found.label_conflicts) == [["d", "d contradicted"]]
    assert found.near_duplicates == ()
    assert [(m.split, m.index, m.label) for m in found.label_conflicts[0]] == [
        ("train", 4, "angry"),
        ("validation", 1, "fear"),
    ]


def test_blank_images_are_listed_with_the_reason() -> None:
    almost_flat = np.full((48, 48), 90, np.uint8)
    almost_flat[::2] = 91
    sign = np.full((48, 48), 255, np.uint8)
    sign[20:28, 10:38] = scenery(1)[20:28, 10:38] // 2
    dark_face = scenery(2) // 8
    found = audit(
        {
            "train": faces(
                ("black", HAPPY, BLANK),
                ("flat", HAPPY, almost_flat),
                ("sign", HAPPY, sign),
                ("dark", HAPPY, dark_face),
            )
        }
    )
    assert [(flaw.name, flaw.reason) for flaw in found.constant] == [
        ("black", "every pixel is 0"),
        ("flat", "standard deviation 0.5 grey levels"),
    ]
    assert [(flaw.name, flaw.reason) for flaw in found.placeholders] == [
        ("sign", "90% of the pixels are 255")
    ]


@pytest.mark.parametrize(
    "copy",
    [
        lambda: noisy(photograph()),
        lambda: recompressed(photograph()),
        lambda: np.clip(photograph() * 0.6 + 60, 0, 255).astype(np.uint8),
        lambda: photograph(left=LEFT + PIXEL),
        lambda: photograph(top=TOP - 2 * PIXEL),
        lambda: photograph()[:, ::-1],
        lambda: noisy(photograph(top=TOP + PIXEL)[:, ::-1]),
    ],
    ids=["noise", "jpeg", "brightness", "1 px", "2 px", "mirror", "all at once"],
)
def test_altered_copies_are_near_duplicates(
    copy: Callable[[], np.ndarray],
) -> None:
    crowd = [(f"other {seed}", HAPPY, scenery(seed)) for seed in range(40)]
    found = audit(
        {
            "train": faces(("original", HAPPY, photograph()), *crowd),
            "validation": faces(("copy", FEAR, np.ascontiguousarray(copy()))),
        }
    )
    assert names(found.near_duplicates) == [["original", "copy"]]
    assert found.near_cross_split == found.near_label_conflicts == found.near_duplicates


def test_a_near_duplicate_brings_its_exact_copies_along() -> None:
    found = audit(
        {
            "train": faces(
                ("original", HAPPY, photograph()),
                ("twin", HAPPY, photograph()),
                ("noisy", HAPPY, noisy(photograph())),
            )
        }
    )
    assert names(found.near_duplicates) == [["original", "twin", "noisy"]]
    assert found.near_cross_split == found.near_label_conflicts == ()


def test_look_alikes_are_not_near_duplicates() -> None:
    same_layout = [(f"layout {n}", HAPPY, scenery(n, layout=7)) for n in range(20)]
    other_crops = [
        ("wider", HAPPY, photograph(left=LEFT - 20, top=TOP - 20, side=SIDE + 30)),
        ("face", HAPPY, photograph()),
        ("lower", HAPPY, photograph(top=TOP + 40)),
    ]
    correlation = np.corrcoef(same_layout[0][2].ravel(), same_layout[1][2].ravel())[0, 1]
    assert correlation > 0.6  # the planted look-alikes really look alike
    found = audit({"train": faces(*same_layout, *other_crops)})
    assert found.near_duplicates == ()


def test_training_leaves_out_blanks_leaks_spare_copies_and_contradictions() -> None:
    splits = {
        "train": faces(
            ("kept", HAPPY, scenery(1)),
            ("spare copy", HAPPY, scenery(1)),
            ("blank", HAPPY, BLANK),
            ("leak", HAPPY, scenery(2)),
            ("near leak", HAPPY, noisy(photograph())),
            ("contradiction", HAPPY, scenery(3)),
            ("contradicted", FEAR, scenery(3)),
            ("kept near copy", HAPPY, noisy(scenery(1))),
        ),
        "validation": faces(
            ("copy", HAPPY, scenery(2)),
            ("near copy", HAPPY, photograph()),
            ("blank copy", HAPPY, BLANK),
            ("again", ANGRY, scenery(5)),
            ("and again", FEAR, scenery(5)),
        ),
        "test": faces(("unseen", HAPPY, scenery(6))),
    }
    left_out = excluded(audit(splits), splits)
    assert {split: indices.tolist() for split, indices in left_out.items()} == {
        "train": [1, 2, 3, 4, 5, 6],
        "validation": [],
        "test": [],
    }
    assert all(indices.dtype == np.int64 for indices in left_out.values())


def test_faces_drawn_over_one_template_are_not_all_left_out() -> None:
    template = scenery(1)
    drawn = [
        np.clip(template + np.random.default_rng(n).normal(0, 3, (48, 48)), 0, 255).astype(np.uint8)
        for n in range(8)
    ]
    splits = {
        "train": faces(*((f"{n}", HAPPY, image) for n, image in enumerate(drawn[:7]))),
        "validation": faces(("held out", HAPPY, drawn[7])),
    }
    found = audit(splits)
    assert len(found.near_cross_split[0]) == 8
    assert excluded(found, splits)["train"].tolist() == []


def test_an_audit_of_other_faces_is_refused() -> None:
    report = audit({"train": faces(("blank", HAPPY, BLANK))})
    with pytest.raises(ValueError, match="of different faces: it lists blank"):
        excluded(report, {"train": faces(("another", HAPPY, scenery(1)))})


def test_the_audit_survives_a_round_trip_through_json() -> None:
    found = audit({"train": faces(("x", HAPPY, BLANK), ("y", FEAR, BLANK))})
    first = {"split": "train", "index": 0, "name": "x", "label": "happy"}
    second = {"split": "train", "index": 1, "name": "y", "label": "fear"}
    assert json.loads(json.dumps(found.to_json())) == {
        "constant": [entry | {"reason": "every pixel is 0"} for entry in (first, second)],
        "placeholders": [],
        "duplicates": [[first, second]],
        "cross_split": [],
        "label_conflicts": [[first, second]],
        "near_duplicates": [],
        "near_cross_split": [],
        "near_label_conflicts": [],
    }


def test_the_known_flaws_of_fer2013_are_found(fer2013: tuple[FaceSource, Reading]) -> None:
    splits = dict(fer2013[1].splits)
    found = audit(splits)
    exact = {"constant": 0, "duplicates": 1269, "cross_split": 269, "label_conflicts": 46}
    assert found.counts().items() >= exact.items()
    assert len(found.near_cross_split) > 300
    dropped = excluded(found, splits)
    assert 2_000 < len(dropped["train"]) < 3_000
    assert not len(dropped["validation"])
