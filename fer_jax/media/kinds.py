"""Distinguishes images, videos and other files, by their bytes and their names."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from fer_jax.media.image_header import format_of
from fer_jax.media.images import MediaError, open_regular
from fer_jax.media.raw_images import RAW_SUFFIXES, endings
from fer_jax.media.video_header import is_video

MediaKind = Literal["image", "video"]

# Files with these names are read, or refused with a reason; none is passed over.
IMAGE_SUFFIXES = RAW_SUFFIXES | endings(
    "apng avif avifs bmp cur dcx dds dib eps exr fits gif hdr heic heics heif heifs hif icns ico",
    "j2c j2k jfif jif jp2 jpc jpe jpeg jpf jpg jpm jpx jxl jxr mpo pam pbm pcd pcx pfm pgm png pnm ppm",
    "psd qoi ras sgi svg tga tif tiff wdp webp xbm xcf xpm",
)
VIDEO_SUFFIXES = endings(
    "264 265 3g2 3gp asf avi divx dv f4v flv h264 h265 hevc m1v m2ts m2v m4v mkv mov mp4 mpe mpeg mpg",
    "mts mxf ogm ogv qt rm rmvb ts vob webm wmv y4m",
)

_HEAD_BYTES = 4096


def media_kind(path: Path) -> MediaKind | None:
    """Distinguishes images and videos by their first bytes, otherwise by name; None means neither.

    A file that cannot be opened is classified by its name: reading it gives the reason.
    """
    try:
        with open_regular(path) as file:
            head = file.read(_HEAD_BYTES)
    except (MediaError, OSError):
        head = b""
    if format_of(head):
        return "image"
    if is_video(head):
        return "video"
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return "video"
    return "image" if suffix in IMAGE_SUFFIXES else None
