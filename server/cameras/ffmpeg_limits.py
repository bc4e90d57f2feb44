"""Limits FFmpeg to the host of a network camera: no other hosts, no files.

Cameras are not trusted: a response can be a redirect, or a playlist that names any address or file.
FFmpeg itself follows no redirect; `server.cameras.network` opens what a camera redirects to on its own
host.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

# Without rtsp and rtsps, FFmpeg 8.1 refuses every redirect of RTSP, whose first address needs neither;
# 8.0 follows it to any host.
_PROTOCOLS = {
    "rtsp": "tcp",
    "rtsps": "tls,tcp",
    "http": "http,tcp",
    "https": "https,tls,tcp",
}
# Formats that cameras send, without HLS, DASH, concat and other lists of addresses.
_RTSP_FORMATS = "rtsp,rtp,sdp,mpegts"
_HTTP_FORMATS = "mpjpeg,mjpeg,jpeg_pipe,mov,mp4,matroska,webm,mpegts,flv,avi,h264,hevc,ogg"


def ffmpeg_limits(where: str) -> Mapping[str, str]:
    """Returns the options that limit FFmpeg to the camera at the URL `where`."""
    scheme = where.partition(":")[0].lower()
    rtsp = scheme.startswith("rtsp")
    limits = {
        "protocol_whitelist": _PROTOCOLS.get(scheme, "tcp"),
        "format_whitelist": _RTSP_FORMATS if rtsp else _HTTP_FORMATS,
    }
    return limits if rtsp else {**limits, "max_redirects": "0"}


def redirected(where: str, location: str) -> str | None:
    """Returns the address that a camera at the URL `where` redirects to; None if it leads away from it.

    The user and password stay those of `where`.
    """
    try:
        old, new = urllib.parse.urlsplit(where), urllib.parse.urlsplit(location)
        if not new.netloc:
            new = urllib.parse.urlsplit(urllib.parse.urljoin(where, location))
        port = f":{new.port}" if new.port else ""
    except ValueError:
        return None
    kept = {old.scheme, f"{old.scheme}s"}  # from http to https, never back
    if not location or new.scheme not in kept or not new.hostname or new.hostname != old.hostname:
        return None
    user, at, _ = old.netloc.rpartition("@")
    host = f"[{new.hostname}]" if ":" in new.hostname else new.hostname
    return new._replace(netloc=f"{user}{at}{host}{port}", fragment="").geturl()
