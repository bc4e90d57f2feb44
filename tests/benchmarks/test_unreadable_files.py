"""The comparison of how packages handle files that are not complete images."""

from __future__ import annotations

from pathlib import Path

import side_unreadable
import unreadable_files


def test_incomplete_images_are_reported_and_the_rest_is_scored(tmp_path: Path) -> None:
    side = unreadable_files.ours(unreadable_files.write_files(tmp_path))
    outcomes = {name: each["outcome"] for name, each in side["files"].items()}
    assert outcomes == {"whole.jpg": "answered", "cut.jpg": "reported", "text.jpg": "reported"}


def test_an_exception_of_a_package_is_named_without_the_folder() -> None:
    def read(file: str) -> str:
        raise ValueError(f"cannot read {file}")

    outcome = side_unreadable.outcome(read, "/somewhere/text.jpg")
    assert outcome == {"outcome": "raised", "words": "ValueError: cannot read text.jpg"}
    assert side_unreadable.outcome(lambda file: "1 faces", "a.jpg")["outcome"] == "answered"
