"""Command line options for cameras: where their images come from and how they are turned."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.machine.terminal import printable
from server.cameras.source_names import (
    ENCODING,
    SECRET,
    default_name,
    has_host,
    masked,
    masked_text,
)
from server.settings import STILL_FPS, Rotation, Source, SourceKind

_NAMED = re.compile(r"([A-Za-z0-9_-]{1,32})=(.+)", re.DOTALL)
_DEVICE = re.compile(r"(?:/dev/video)?(\d{1,3})")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_NETWORK_SCHEMES = ("rtsp", "rtsps", "http", "https")
_ROTATED = re.compile(r"([A-Za-z0-9_-]{1,32})=(0|90|180|270)")


def add_camera_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `camera_sources` reads, `--still-fps` and `--unpaced`."""
    add = parser.add_argument
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
        type=command.number(float, 0.1, 30),
        default=STILL_FPS,
        metavar="RATE",
        help="requests per second to an http camera of still images; default: %(default)g",
    )
    add("--unpaced", action="store_true", help="play video files as fast as they are analysed")


def camera_sources(line: argparse.Namespace, *, webcam: Path) -> tuple[Source, ...]:
    """Returns the cameras of a command line, rotated and flipped as requested.

    Args:
        line: with the options of `add_camera_options`.
        webcam: the file whose presence means that there is a webcam.

    Raises:
        FerError: as `parse_source`; a name given twice; a rotation or a flip of no camera.
    """
    return _mounted(_sources(line.source, webcam=webcam), rotate=line.rotate, flip=line.flip)


def parse_source(text: str) -> Source:
    """Returns the source that one `--source` names; without a name it gets one of its kind.

    Raises:
        FerError: a missing file, an unknown kind of address, or nothing at all.
    """
    named = _NAMED.fullmatch(text)
    name, where = named.groups() if named else ("", text)
    kind, where = _kind(where)
    return Source(
        name=name or default_name(kind, where), kind=kind, where=where, masked=masked(where)
    )


def _sources(texts: Sequence[str], *, webcam: Path) -> tuple[Source, ...]:
    """The requested sources; a webcam, which may be missing, adds the demo and the browser camera."""
    found: dict[str, Source] = {}
    for text in texts or (["0"] if webcam.exists() else []):
        source = parse_source(text)
        if source.name in found:
            raise FerError(
                f"--source {source.masked}: there is a camera named {source.name} already; "
                "write NAME=WHERE with another name"
            )
        found[source.name] = source
    if not found or any(source.kind == "device" for source in found.values()):
        there = {source.kind for source in found.values()}
        for kind in ("demo", "browser"):
            if kind not in there:
                found.setdefault(kind, parse_source(kind))
    return tuple(found.values())


def _mounted(
    sources: tuple[Source, ...], *, rotate: Sequence[str], flip: Sequence[str]
) -> tuple[Source, ...]:
    """Returns the sources with the requested rotations and flips."""
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
