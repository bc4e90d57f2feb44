"""Scoring on Ray Serve: `python -m server.ray_serve`, or `serve run server.ray_serve:app` on a cluster.

Several replicas answer POST /api/score as the live server does. One that dies is replaced; what it was
scoring is scored by another one.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fer_jax import command
from fer_jax.errors import FerError
from server.serving.application import application, require_ray_serve
from server.serving.options import Serving, from_arguments
from server.settings import Limits, is_loopback

if TYPE_CHECKING:
    from ray.serve import Application

_NAME = "fer_jax"
_LISTENS_WITHIN_S = 60.0
_QUIET = {"log_level": "WARNING", "enable_access_log": False}
_DESCRIPTION = "Scores the images of POST /api/score by several processes, on Ray Serve."
# Read by the processes of Ray and Ray Serve, whose own values starve a service on a busy machine.
_ENVIRONMENT = {
    "RAY_worker_niceness": "0",  # in place of 15
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "30",
}
_EXAMPLE = """\
python -m server.ray_serve --replicas 4
python -m server.ray_serve --address 10.0.0.1:6379 --replicas 64 --cores 2
"""

_LOG = logging.getLogger(__name__)


def app(arguments: dict[str, Any]) -> Application:
    """Returns the application for `serve run` and for Ray Serve's configuration files.

    Args:
        arguments: see `server.serving.options.from_arguments`.

    Raises:
        FerError: an argument that cannot be used, or Ray Serve is not installed.
    """
    return application(from_arguments(arguments))


def main(argv: Sequence[str]) -> int:
    """Serves until SIGINT or SIGTERM comes, and returns 0."""
    with command.ends_at_once():
        line = _parser().parse_args(argv)
        serving = _serving(line, os.environ)
        require_ray_serve()
        port = _free_port(line.host, line.port)
        from fer_jax.cluster.run import cluster

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.update({name: os.environ.get(name, value) for name, value in _ENVIRONMENT.items()})
    with cluster(line.address):
        _serve(
            serving,
            host=line.host,
            port=port,
            alone=line.address is None,
            say=command.speaker(quiet=line.quiet),
        )
    return 0


def _parser() -> command.Parser:
    parser = command.Parser(
        prog="python -m server.ray_serve", description=_DESCRIPTION, example=_EXAMPLE
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on; default %(default)s")
    add("--port", type=_port, default=8000, help="0 takes a free one; default %(default)s")
    add(
        "--address",
        metavar="HOST:PORT",
        help="a Ray cluster to serve on; without it, one on this machine",
    )
    add(
        "--replicas",
        type=command.count,
        default=2,
        help="processes that score; default %(default)s",
    )
    add(
        "--cores",
        type=command.count,
        default=1,
        help="cores for each of them; default %(default)s",
    )
    add(
        "--deadline-s",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="within which an image must be scored, otherwise 504; default %(default)s",
    )
    command.add_checkpoint(parser)
    return parser


def _port(text: str) -> int:
    if text.isdecimal() and int(text) < 2**16:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text}: expected a number from 0 to 65535")


def _serving(line: argparse.Namespace, environment: Mapping[str, str]) -> Serving:
    """Returns the settings of a command line.

    Raises:
        FerError: a value that cannot be used, or an address open to others without a token.
    """
    names = ("checkpoint", "replicas", "cores", "deadline_s")
    serving = from_arguments({name: getattr(line, name) for name in names}, environment=environment)
    if not serving.token and not is_loopback(line.host):
        raise FerError(
            f"--host {line.host}: others could use this server; give a token with $FER_TOKEN, or "
            "listen on 127.0.0.1"
        )
    return serving


def _free_port(host: str, port: int) -> int:
    """Returns the port, or a free one for 0.

    Raises:
        FerError: it is taken, or the address is not of this machine.
    """
    try:
        with socket.create_server((host, port), family=_family(host)) as bound:
            return bound.getsockname()[1]
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FerError(
            f"{host}:{port}: cannot listen on this address ({reason}); "
            "choose another --host or --port"
        ) from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _serve(
    serving: Serving, *, host: str, port: int, alone: bool, say: Callable[[str], None]
) -> None:
    """Serves on the cluster that the process has joined, until a signal comes."""
    from ray import serve
    from ray.exceptions import RayError

    ready = False
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    try:
        built = application(serving)
        _start(serving.limits, host=host, port=port)
        serve.run(built, name=_NAME, route_prefix="/", logging_config=_QUIET)
        _wait_listening(host, port)
        ready = True
        shown = f"[{host}]" if ":" in host else host
        say(f"score images at http://{shown}:{port}/api/score")
        threading.Event().wait()
    except KeyboardInterrupt:
        if not ready:
            raise
    except (RuntimeError, TimeoutError, RayError) as error:
        reason = " ".join(str(error).split())[:300]
        raise FerError(f"Ray Serve cannot start the replicas ({reason})") from error
    finally:
        if alone:
            serve.shutdown()
        else:
            serve.delete(_NAME)


def _start(limits: Limits, *, host: str, port: int) -> None:
    """Starts Ray Serve's HTTP listener, which may not be ready yet on a busy machine."""
    from ray import serve
    from ray.exceptions import RayError

    try:
        serve.start(
            http_options={
                "host": host,
                "port": port,
                # Should a front hang: more than any answer takes.
                "request_timeout_s": 2 * limits.form_upload_s
                + limits.images_per_request * limits.request_deadline_s,
                "keep_alive_timeout_s": int(limits.idle_connection_s),
            },
            logging_config=_QUIET,
        )
    except (TimeoutError, RayError) as error:  # it gives up after 60 s, but keeps starting
        _LOG.info("Ray Serve is slow to start: %s", error)


def _wait_listening(host: str, port: int) -> None:
    """Waits until somebody can connect.

    Raises:
        TimeoutError: nobody can.
    """
    until_s = time.monotonic() + _LISTENS_WITHIN_S
    while True:
        try:
            with socket.create_connection((host, port), timeout=1):
                return
        except OSError:
            if time.monotonic() > until_s:
                raise TimeoutError(f"no server is listening on {host}:{port}") from None
            time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(command.run(main))
