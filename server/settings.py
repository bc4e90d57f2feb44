"""The server's settings: typed and frozen, made from flags and environment, known by no other file.

A source is written `NAME=WHERE` or `WHERE`: a webcam's number, a video file, an rtsp:// or http://
camera, `demo`, or `browser` for the visitor's own camera.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from pathlib import Path
from typing import Literal

from fer_jax.faces.detect import DETECT_SIZE, DetectSize

STILL_FPS = 2.0
RECORD_LIMIT_GB = 10.0

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Privacy = Literal["none", "pixelate", "no_picture"]
Rotation = Literal[0, 90, 180, 270]  # degrees clockwise
SourceKind = Literal["device", "file", "network", "demo", "browser"]


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a camera's frames come from.

    Attributes:
        name: the camera's name in every URL; letters, digits, "-" and "_".
        kind: which reader serves it.
        where: the device's number, a path or a URL as written; may hold credentials: only show
            `masked`.
        masked: the same, safe for logs and pages.
        rotate: degrees clockwise by which its images are rotated before analysis.
        flip: swap left and right, after rotating.
    """

    name: str
    kind: SourceKind
    where: str = dataclasses.field(repr=False)
    masked: str
    rotate: Rotation = 0
    flip: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """How much the server accepts before it refuses. Seconds, bytes, pixels, counts."""

    viewers: int = 256
    viewers_per_address: int = 16
    stuck_viewer_s: float = 10.0  # a socket that reads nothing for this long is closed
    queued_crops: int = 256  # more: 429 with Retry-After
    images_per_request: int = 32
    image_bytes: int = 8 * 2**20
    image_pixels: int = 25_000_000
    image_upload_s: float = 20.0  # for one image's bytes to arrive; later: 408
    form_upload_s: float = 60.0  # for all bytes of a form, processing not counted; later: 408
    uploads: int = 16  # open requests with images; more: 429 with Retry-After
    uploads_per_address: int = 8
    explanations: int = 8  # requested and not ready yet; more: 429 with Retry-After
    explanations_per_address: int = 4
    request_deadline_s: float = 1.0  # of REST scoring, for each image; later: 504
    json_bytes: int = 16 * 2**10  # of a request's JSON
    login_attempts_per_minute: int = 10
    connections: int = 1024
    connections_per_address: int = 128  # also open requests of one visitor behind a proxy
    idle_connection_s: float = 30.0  # also the time a client has to send its request's header
    shutdown_s: float = 5.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a server.

    Attributes:
        sources: the cameras, in the order the page shows them.
        host, port: where to listen; port 0 takes a free one.
        token: the operators' token; empty on loopback only.
        viewer_token: the token of visitors who may only watch; empty for none.
        announce_token: print an address that carries the token.
        privacy: how every camera starts, unless an operator left it stricter; operators may change it.
        kept: folder in which each camera's privacy is kept over restarts; None to keep none.
        allowed_hosts: further accepted Host headers, besides loopback names and `host`.
        path_prefix: path below which visitors see the server, such as "/fer"; "" for none.
        trusted_proxies: networks of reverse proxies whose headers name the visitor.
        checkpoint: a shipped name, a workdir or a checkpoint folder; None for the default network.
        width, height, fps: requested from webcams and the demo; a camera may deliver others.
        still_fps: requests per second to a network camera of still images.
        unpaced: play every frame of video files, as fast as they are analysed.
        detect_size: longer side in pixels at which faces are detected, or "full".
        jpeg_quality: 1 to 100.
        smoothing_s: time constant of the probabilities, seconds; 0 disables smoothing.
        record: record every camera from the start.
        recordings: folder of the recordings; it is made with the first one.
        record_limit_gb: how much the recordings of one run may take, in 10^9 bytes.
        drain_s: how long it answers after the signal to stop, while `/readyz` returns 503; seconds.
        browser: open the page where there is a desktop.
        quiet: print no messages.
        limits: see `Limits`.
    """

    sources: tuple[Source, ...]
    host: str = "127.0.0.1"
    port: int = 8080
    token: str = dataclasses.field(default="", repr=False)
    viewer_token: str = dataclasses.field(default="", repr=False)
    announce_token: bool = False
    privacy: Privacy = "none"
    kept: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    path_prefix: str = ""
    trusted_proxies: tuple[Network, ...] = ()
    checkpoint: str | None = None
    width: int = 640
    height: int = 480
    fps: float = 30.0
    still_fps: float = STILL_FPS
    unpaced: bool = False
    detect_size: DetectSize = DETECT_SIZE
    jpeg_quality: int = 80
    smoothing_s: float = 0.5
    record: bool = False
    recordings: Path = Path("recordings")
    record_limit_gb: float = RECORD_LIMIT_GB
    drain_s: float = 0.0
    browser: bool = False
    quiet: bool = False
    limits: Limits = dataclasses.field(default_factory=Limits)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
