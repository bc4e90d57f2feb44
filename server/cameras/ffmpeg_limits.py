"""Limits FFmpeg to the host of a network camera: no other hosts, no files.

Cameras are not trusted: a response can be a redirect, or a playlist that names any address or file.
"""

from __future__ import annotations

from collections.abc import Mapping

_PROTOCOLS = {
    "rtsp": "tcp,udp,rtp",
    "rtsps": "tcp,tls,udp,rtp,srtp",
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
