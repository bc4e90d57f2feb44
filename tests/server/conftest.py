"""One small checkpoint and one server for all tests without special settings.

Imports are in the fixtures, so that the test of a single part loads only that part.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.small_checkpoint import write_workdir

if TYPE_CHECKING:
    from tests.server.live_server import LiveServer


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The workdir of the network that compiles fastest; do not change it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    return str(write_workdir(folder / "run", model__name="seed_cnn"))


@pytest.fixture(scope="session")
def live(checkpoint: str) -> Iterator[LiveServer]:
    from server.settings import Limits
    from tests.server.live_server import LiveServer, settings_of

    # A machine busy with other tests responds slowly, which is not tested here.
    limits = Limits(request_deadline_s=30.0)
    with LiveServer(settings_of(checkpoint, limits=limits)) as server:
        server.wait_ready()
        yield server
