"""A camera whose faces were hidden, after a restart."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest

from server.live.kept_privacy import KeptPrivacy
from server.settings import Privacy, Source
from tests.server.live_server import LiveServer, settings_of

DESK = Source(name="desk", kind="device", where="0", masked="0")


def damage(folder: Path, text: str) -> None:
    (path,) = folder.iterdir()
    path.write_text(text)


async def kept_after(folder: Path, *modes: Privacy, least: Privacy = "none") -> Privacy:
    for mode in modes:
        await KeptPrivacy(folder).keep(DESK, lambda mode=mode: mode)
    return await KeptPrivacy(folder).at_start(DESK, least=least)


async def test_what_was_hidden_stays_hidden_until_it_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "privacy"
    assert await kept_after(folder) == "none"
    assert await kept_after(folder, "pixelate", "no_picture") == "no_picture"
    other = dataclasses.replace(DESK, where="1", masked="1")
    assert await KeptPrivacy(folder).at_start(other, least="none") == "none"
    assert await kept_after(folder, "none") == "none"
    assert list(folder.iterdir()) == []


async def test_the_stricter_of_the_flag_and_the_last_operators_choice_wins(tmp_path: Path) -> None:
    assert await kept_after(tmp_path, "pixelate", least="no_picture") == "no_picture"
    assert await kept_after(tmp_path, "no_picture", least="pixelate") == "no_picture"
    assert await kept_after(tmp_path, "none", least="pixelate") == "pixelate"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"privacy": "off"}', '{"privacy": ["none"]}'])
async def test_an_unreadable_file_hides_everybody(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    await kept_after(tmp_path, "pixelate")
    damage(tmp_path, text)
    assert await kept_after(tmp_path) == "no_picture"
    assert "cannot be read" in caplog.text


async def test_a_folder_that_cannot_be_made_gives_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    caplog.set_level(logging.WARNING)
    await KeptPrivacy(tmp_path / "file" / "privacy").keep(DESK, lambda: "pixelate")
    (record,) = caplog.records
    assert "desk: its privacy will not be kept" in record.message


def test_a_restarted_server_hides_what_its_operator_had_hidden(
    checkpoint: str, tmp_path: Path
) -> None:
    settings = settings_of(checkpoint, "demo", kept=tmp_path)

    def privacy_after(**changes: str) -> str:
        with LiveServer(settings) as server:
            server.wait_ready()
            before = server.get("/api/cameras").json["cameras"][0]["controls"]["privacy"]
            for key, value in changes.items():
                assert server.post_json("/api/cameras/demo", {key: value}).status == 200
        return before

    assert privacy_after(privacy="no_picture") == "none"
    assert privacy_after(privacy="none") == "no_picture"
    assert privacy_after() == "none"
