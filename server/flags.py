"""The command line and environment of the server, read into `Settings`.

Camera addresses come from here only. `@FILE` stands for further arguments, one a line, so that a
camera's password need not show in the list of processes; tokens are best given as $FER_TOKEN and
$FER_VIEWER_TOKEN.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, cast

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.faces.detect import DETECT_SIZE, check_detect_size
from fer_jax.machine.outputs import try_folder
from fer_jax.machine.regular_files import read_regular
from fer_jax.machine.terminal import printable
from server.access.options import add_access_options, path_prefix, proxy, tokens
from server.cameras.source_names import (
    ENCODING,
    SECRET,
    default_name,
    has_host,
    masked,
    masked_text,
)
from server.settings import RECORD_LIMIT_GB, STILL_FPS, Rotation, Settings, Source, SourceKind

_NAMED = re.compile(r"([A-Za-z0-9_-]{1,32})=(.+)", re.DOTALL)
_DEVICE = re.compile(r"(?:/dev/video)?(\d{1,3})")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_NETWORK_SCHEMES = ("rtsp", "rtsps", "http", "https")
_ROTATED = re.compile(r"([A-Za-z0-9_-]{1,32})=(0|90|180|270)")
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
_MOST_LIST_BYTES = 1 << 20
_FIRST_WEBCAM = Path("/dev/video0")
_DESCRIPTION = """\
Watches cameras and shows them in the browser, with the faces and what they express.

@FILE stands for further arguments, one a line, so that a camera's password need not show in the list of
processes; tokens are best given as $FER_TOKEN and $FER_VIEWER_TOKEN.
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
        SystemExit: `--help` was asked for.
    """
    line = _parser().parse_args([one for text in argv for one in _arguments(text)])
    host = _host(line.host)
    check_detect_size(line.detect_size)
    if line.record is not None:
        try_folder(line.record, flag="--record")
    given = tokens(line, environment, host=host)
    return Settings(
        sources=_mounted(_sources(line.source, webcam=webcam), rotate=line.rotate, flip=line.flip),
        host=host,
        port=line.port,
        token=given.operator,
        viewer_token=given.viewer,
        announce_token=given.announced,
        privacy=line.privacy,
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


def parse_source(text: str) -> Source:
    """Returns what one `--source` asks for; without a name it gets one of its kind.

    Raises:
        FerError: a missing file, an unknown kind of address, or nothing at all.
    """
    named = _NAMED.fullmatch(text)
    name, where = named.groups() if named else ("", text)
    kind, where = _kind(where)
    return Source(
        name=name or default_name(kind, where), kind=kind, where=where, masked=masked(where)
    )


class _Parser(command.Parser):
    def error(self, message: str) -> NoReturn:
        super().error(masked_text(message))


def _arguments(text: str) -> list[str]:
    """Returns what an argument stands for; @FILE for the file's lines but blank ones and remarks."""
    if not text.startswith("@"):
        return [text]
    path = Path(text[1:])
    try:
        lines = os.fsdecode(read_regular(path, most_bytes=_MOST_LIST_BYTES)).splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file's name"
        raise FerError(
            f"{masked_text(printable(text))}: cannot be read ({reason}); @FILE names a file of further "
            "arguments, one a line"
        ) from None
    stripped = [line.strip() for line in lines]
    return [line for line in stripped if line and not line.startswith("#")]


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("live", example=_EXAMPLE, description=_DESCRIPTION)
    _add_cameras(parser.add_argument)
    _add_network(parser.add_argument)
    add_access_options(parser)
    command.add_checkpoint(parser)
    _add_recording(parser.add_argument)
    add = parser.add_argument
    command.add_detect_size(parser, default=DETECT_SIZE)
    add("--no-browser", dest="browser", action="store_false", help="do not open a browser")
    add("--jpeg-quality", type=_number(int, 1, 100), default=80, help="1 to 100; %(default)s")
    add(
        "--smoothing",
        type=_number(float, 0, 60),
        default=0.5,
        metavar="SECONDS",
        help="time constant of the probabilities; 0 smooths nothing; %(default)s",
    )
    return parser


def _add_cameras(add: Callable[..., object]) -> None:
    add(
        "--source",
        action="append",
        default=[],
        metavar="[NAME=]WHERE",
        help="a camera, may be repeated: a webcam's number or path (/dev/v4l/by-id/...), a video file, "
        "an rtsp:// or http:// address (of a stream, a video or a still image), demo, or browser (the "
        "visitor's own); default: the first webcam, demo and browser",
    )
    add(
        "--rotate",
        action="append",
        default=[],
        metavar="NAME=DEGREES",
        help="turn a camera's images clockwise by 90, 180 or 270 degrees; may be repeated",
    )
    add(
        "--flip",
        action="append",
        default=[],
        metavar="NAME",
        help="exchange left and right in a camera's images, after rotating; may be repeated",
    )
    add(
        "--still-fps",
        type=_number(float, 0.1, 30),
        default=STILL_FPS,
        metavar="RATE",
        help="how often an http camera of still images is asked for one, a second; default: %(default)g",
    )
    add("--unpaced", action="store_true", help="play video files as fast as they are analysed")


def _add_network(add: Callable[..., object]) -> None:
    add("--host", default="127.0.0.1", help="address to listen on; default: %(default)s")
    add("--port", type=_number(int, 0, 65535), default=8080, help="0 takes a free one; %(default)s")
    add(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name this server is reached by, such as a reverse proxy's; may be repeated",
    )
    add(
        "--drain-s",
        type=_number(float, 0, 3600),
        default=0.0,
        metavar="SECONDS",
        help="after the signal to stop go on for so long, while /readyz sends a balancer's requests "
        "elsewhere; %(default)s",
    )


def _add_recording(add: Callable[..., object]) -> None:
    add(
        "--record",
        type=Path,
        metavar="DIR",
        help="record all cameras from the start: a csv of the faces and a video with them marked; "
        "without it, the page's button records into the folder recordings",
    )
    add(
        "--record-limit",
        type=_number(float, 0.001, 1e6),
        default=RECORD_LIMIT_GB,
        metavar="GB",
        help="how much all recordings of a run may take; default: %(default)g",
    )


def _number(
    kind: type[int] | type[float], least: float, most: float
) -> Callable[[str], int | float]:
    def read(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r}: expected {what} from {least} to {most}")
        return value

    return read


def _host(text: str) -> str:
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not _HOST.fullmatch(host):
        raise FerError(f"{masked_text(printable(text))}: not a host; expected a name or an address")
    return host


def _sources(texts: Sequence[str], *, webcam: Path) -> tuple[Source, ...]:
    """The sources asked for; a webcam, which may be missing, brings the demo and the browser along."""
    sources: dict[str, Source] = {}
    for text in texts or (["0"] if webcam.exists() else []):
        source = parse_source(text)
        if source.name in sources:
            raise FerError(
                f"--source {source.masked}: there is a camera named {source.name} already; "
                "write NAME=WHERE with another name"
            )
        sources[source.name] = source
    if not sources or any(source.kind == "device" for source in sources.values()):
        there = {source.kind for source in sources.values()}
        for kind in ("demo", "browser"):
            if kind not in there:
                sources.setdefault(kind, parse_source(kind))
    return tuple(sources.values())


def _mounted(
    sources: tuple[Source, ...], *, rotate: Sequence[str], flip: Sequence[str]
) -> tuple[Source, ...]:
    """Returns the sources with the rotations and flips asked for."""
    names = [source.name for source in sources]
    rotations: dict[str, Rotation] = {}
    for text in rotate:
        asked = _ROTATED.fullmatch(text)
        if asked is None:
            raise FerError(
                f"--rotate {masked_text(text)!r}: expected NAME=DEGREES with 0, 90, 180 or 270"
            )
        rotations[asked[1]] = cast(Rotation, int(asked[2]))
    for flag, given in (("--rotate", rotations), ("--flip", flip)):
        if unknown := sorted(set(given) - set(names)):
            shown = masked_text(unknown[0])
            raise FerError(f"{flag} {shown!r}: no such camera; there are {', '.join(names)}")
    return tuple(
        dataclasses.replace(
            source, rotate=rotations.get(source.name, source.rotate), flip=source.name in flip
        )
        for source in sources
    )


def _kind(where: str) -> tuple[SourceKind, str]:
    if where in ("demo", "browser"):
        return ("demo" if where == "demo" else "browser"), where
    if device := _DEVICE.fullmatch(where):
        return "device", device.group(1)
    if scheme := _SCHEME.match(where):
        if scheme.group(1).lower() not in _NETWORK_SCHEMES:
            raise FerError(
                f"--source {masked(where)}: expected an address of "
                f"{', '.join(_NETWORK_SCHEMES)}, a video file, a webcam's number, demo or browser"
            )
        if not has_host(where):
            raise FerError(
                f"--source {masked(where)}: no host is left after the user and password; in those, "
                f"{ENCODING}"
            )
        return "network", where
    if where.startswith("/dev/"):  # also when nothing is plugged in
        return "device", where
    path = Path(where).expanduser()
    if not where or not path.is_file():
        secret = masked(where) == SECRET
        shown = SECRET if secret else printable(where) if where else "''"
        raise FerError(
            f"--source {shown}: no such file; expected a video file, "
            "a webcam's number, an rtsp:// or http:// address, demo or browser"
        )
    return "file", str(path)
