"""Starts the live server: `python -m server`, then open the address it prints."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import webbrowser
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from fer_jax import command
from fer_jax.machine.confinement import leave_no_core_dumps
from fer_jax.machine.descriptors import raise_descriptor_limit
from fer_jax.machine.terminal import printable
from server.desktop import has_desktop

if TYPE_CHECKING:
    from server.settings import Settings

_LOG = logging.getLogger("server")


def main(argv: Sequence[str]) -> NoReturn:
    """Serves until SIGINT or SIGTERM comes, and ends the process with its exit code.

    Nothing is left to be saved then. The interpreter's own end would free the network and wait for a
    compilation, which nothing can interrupt.

    Raises:
        FerError: a flag or the environment holds a mistake.
    """
    with command.ends_at_once():  # until it listens
        from server.flags import from_arguments

        settings = from_arguments(argv)
        os._exit(command.run(lambda _: _serve_until_signal(settings)))


def _serve_until_signal(settings: Settings) -> int:
    from server.logs import queued_log  # and with it aiohttp, which no mistake in a flag waits for

    leave_no_core_dumps()  # capture processes and decoders inherit that
    raise_descriptor_limit()
    with queued_log():
        asyncio.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    # These import JAX, which no mistake in a flag should wait for.
    from fer_jax.inference.compilation import leave_cores_for_others
    from server.listen import listening

    leave_cores_for_others()
    loop, stop, draining = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    async with listening(settings, draining=draining) as url:
        for number in (signal.SIGINT, signal.SIGTERM):
            _on_signal(loop, number, stop.set)
        names = ", ".join(source.name for source in settings.sources)
        if settings.announce_token:
            url = f"{url.rstrip('/')}/login?token={settings.token}"
        say = command.speaker(quiet=settings.quiet)
        say(f"watch {names} at {url}")
        if settings.record:
            say(f"recording every camera into {printable(settings.recordings)}")
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            _LOG.warning("running as root; a dedicated user would limit the damage of a break-in")
        kinds = {source.kind for source in settings.sources}
        if "browser" in kinds and "device" not in kinds:
            say("no webcam was given or found; the page can use the browser's own")
        if settings.browser and has_desktop():
            await asyncio.to_thread(webbrowser.open, url)
        await stop.wait()
        if settings.drain_s:
            say(f"draining for {settings.drain_s:g} s; a second signal cuts this short")
            draining.set()
            stop.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), settings.drain_s)
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)  # a second signal does not wait for a farewell


def _on_signal(loop: asyncio.AbstractEventLoop, number: int, call: Callable[[], None]) -> None:
    """Has the loop call a function at a signal, also on Windows, whose loops take no handlers."""
    try:
        loop.add_signal_handler(number, call)
    except NotImplementedError:
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(call))


if __name__ == "__main__":
    sys.exit(command.run(main))
