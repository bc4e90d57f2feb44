"""A server with a failing /healthz that floods its log on request; `python -m` starts it."""

from __future__ import annotations

import logging
import sys

from aiohttp import web

from server.__main__ import main
from server.api import health

FLOOD_LINES = 4000


async def fail(request: web.Request) -> web.Response:
    """Fails, after as many different lines as `?flood` requests."""
    if "flood" in request.query:
        for n in range(FLOOD_LINES):
            logging.getLogger(f"flood {n}").error("a line of some length: %s", 100 * "x")
    raise RuntimeError("a defect")


if __name__ == "__main__":
    health.healthz = fail
    main(sys.argv[1:])
