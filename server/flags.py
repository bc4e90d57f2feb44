"""The command line and environment of the server, read into `Settings`.

Camera addresses come from here only. `@FILE` means further arguments, one per line, so that a
camera's password need not show in the list of processes; tokens are best given as $FER_TOKEN and
$FER_VIEWER_TOKEN.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.faces.detect import DETECT_SIZE, check_detect_size
from fer_jax.machine.cache_folder import cache_folder
from fer_jax.machine.outputs import try_folder
from fer_jax.machine.regular_files import read_regular
from fer_jax.machine.terminal import printable
from server.access.options import add_access_options, path_prefix, proxy, tokens
from server.cameras.options import add_camera_options, camera_sources
from server.cameras.source_names import masked_text
from server.settings import RECORD_LIMIT_GB, Settings

_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
_MOST_LIST_BYTES = 1 << 20
_FIRST_WEBCAM = Path("/dev/video0")
_DESCRIPTION = """\
Watches cameras and shows them in the browser, with the faces and what they express.

@FILE means further arguments, one per line, which keeps a camera's password out of the process list;
tokens are best given as $FER_TOKEN and $FER_VIEWER_TOKEN.
"""
_EXAMPLE = """\
fer-jax live
fer-jax live --source desk=0 --source clip.mp4
"""


def from_arguments(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str] = os.environ,
    webcam: Path = _FIRST_WEBCAM,
) -> Settings:
    """Returns the checked settings of a command line.

    Args:
        argv: arguments after the program's name.
        environment: may hold FER_TOKEN and FER_VIEWER_TOKEN.
        webcam: the file whose presence means that there is a webcam.

    Raises:
        FerError: a flag or value that cannot be used, or an address open to others without a token.
        SystemExit: `--help` was requested.
    """
    line = _parser().parse_args([one for text in argv for one in _arguments(text)])
    host = _host(line.host)
    check_detect_size(line.detect_size)
    if line.record is not None:
        try_folder(line.record, flag="--record")
    given = tokens(line, environment, host=host)
    return Settings(
        sources=camera_sources(line, webcam=webcam),
        host=host,
        port=line.port,
        token=given.operator,
        viewer_token=given.viewer,
        announce_token=given.announced,
        privacy=line.privacy,
        kept=cache_folder("privacy"),
        allowed_hosts=tuple(_host(name).lower() for name in line.allowed_host),
        path_prefix=path_prefix(line.path_prefix),
        trusted_proxies=tuple(proxy(text) for text in line.trusted_proxy),
        checkpoint=line.checkpoint,
        still_fps=line.still_fps,
        record=line.record is not None,
        recordings=line.record or Path("recordings"),
        record_limit_gb=line.record_limit,
        unpaced=line.unpaced,
        detect_size=line.detect_size,
        jpeg_quality=line.jpeg_quality,
        smoothing_s=line.smoothing,
        drain_s=line.drain_s,
        browser=line.browser,
        quiet=line.quiet,
    )


class _Parser(command.Parser):
    def error(self, message: str) -> NoReturn:
        super().error(masked_text(message))


def _arguments(text: str) -> list[str]:
    """Returns an argument's expansion; @FILE gives the file's lines without blank ones and comments."""
    if not text.startswith("@"):
        return [text]
    path = Path(text[1:])
    try:
        lines = os.fsdecode(read_regular(path, most_bytes=_MOST_LIST_BYTES)).splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file's name"
        raise FerError(
            f"{masked_text(printable(text))}: cannot be read ({reason}); @FILE names a file of further "
            "arguments, one per line"
        ) from None
    stripped = [line.strip() for line in lines]
    return [line for line in stripped if line and not line.startswith("#")]


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("live", example=_EXAMPLE, description=_DESCRIPTION)
    add_camera_options(parser)
    _add_network(parser)
    add_access_options(parser)
    command.add_checkpoint(parser)
    _add_recording(parser)
    add = parser.add_argument
    command.add_detect_size(parser, default=DETECT_SIZE)
    add("--no-browser", dest="browser", action="store_false", help="do not open a browser")
    add(
        "--jpeg-quality", type=command.number(int, 1, 100), default=80, help="1 to 100; %(default)s"
    )
    add(
        "--smoothing",
        type=command.number(float, 0, 60),
        default=0.5,
        metavar="SECONDS",
        help="time constant of the probabilities; 0 smooths nothing; %(default)s",
    )
    return parser


def _add_network(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on; default: %(default)s")
    add(
        "--port",
        type=command.number(int, 0, 65535),
        default=8080,
        help="0 takes a free one; %(default)s",
    )
    add(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name this server is reached by, such as a reverse proxy's; may be repeated",
    )
    add(
        "--drain-s",
        type=command.number(float, 0, 3600),
        default=0.0,
        metavar="SECONDS",
        help="keep serving this long after the signal to stop, while /readyz sends new requests "
        "elsewhere; %(default)s",
    )


def _add_recording(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--record",
        type=Path,
        metavar="DIR",
        help="record all cameras from the start: a csv of the faces and a video with them marked; "
        "without it, the page's button records into the folder recordings",
    )
    parser.add_argument(
        "--record-limit",
        type=command.number(float, 0.001, 1e6),
        default=RECORD_LIMIT_GB,
        metavar="GB",
        help="how much all recordings of a run may take; default: %(default)g",
    )


def _host(text: str) -> str:
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not _HOST.fullmatch(host):
        raise FerError(f"{masked_text(printable(text))}: not a host; expected a name or an address")
    return host
