"""One small checkpoint and one server for all tests that need no settings of their own.

Imports are in the fixtures, so that the test of a single part loads that part alone.
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
    return str(write_workdir(tmp_path_factory.mktemp("checkpoint") / "run"))


@pytest.fixture(scope="session")
def live(checkpoint: str) -> Iterator[LiveServer]:
    from server.settings import Limits
    from tests.server.live_server import LiveServer, settings_of

    # A machine that is busy with other tests is slow to answer, and that is not what is tested.
    limits = Limits(request_deadline_s=30.0)
    with LiveServer(settings_of(checkpoint, limits=limits)) as server:
        server.wait_ready()
        yield server
