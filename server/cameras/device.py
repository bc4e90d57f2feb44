"""A webcam through OpenCV: newest frame only, MJPG requested first, size and rate read back."""

from __future__ import annotations

import errno
import os
import sys
import time

import cv2
import numpy as np

from server.cameras.fit import retrieved
from server.cameras.reader import SourceError
from server.cameras.wire import Order

# Linux names a webcam by a path, other systems only by its number.
_BACKENDS = {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION, "win32": cv2.CAP_MSMF}
_TRIES = 3  # the first image after power-up is often damaged


class DeviceReader:
    """An open webcam; see `Reader`."""

    live = True

    def __init__(self, order: Order) -> None:
        """Opens webcam number `where`, or the device that `where` is the path of.

        Raises:
            SourceError: not plugged in, not permitted, in use, or not a camera.
        """
        cv2.setNumThreads(1)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self._path = device_path(order.where)
        # A path from /dev/v4l holds a serial number, and viewers see the reason.
        self._name = (
            (self._path or f"webcam {order.where}") if order.where.isdecimal() else order.masked
        )
        if self._path is not None:
            _check_access(self._path)
        number_or_path = int(order.where) if self._path is None else self._path
        backend = _BACKENDS.get(sys.platform, cv2.CAP_ANY)
        self._capture = cv2.VideoCapture(number_or_path, backend)
        if not self._capture.isOpened():
            raise SourceError("busy", f"{self._name} is in use by another program, or not a camera")
        # The order matters: the driver chooses sizes and rates for the current format. Uncompressed,
        # USB 2 carries at most 640x480 at 30 fps.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, order.width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, order.height)
        self._capture.set(cv2.CAP_PROP_FPS, order.fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = rate if 0 < rate < 1000 else 0.0
        if not any(self._capture.grab() for _ in range(_TRIES)):  # streaming starts here
            self._capture.release()
            raise SourceError("busy", f"{self._name} is in use by another program")

    def grab(self) -> float:
        """Waits for the next image; `image` decodes it."""
        if not self._capture.grab():
            if self._path is not None and not os.path.exists(self._path):
                raise SourceError("missing", f"{self._name} was unplugged")
            raise SourceError("reconnecting", f"{self._name} stopped sending images")
        return time.monotonic()

    def image(self) -> np.ndarray | None:
        """Decodes the grabbed image."""
        return retrieved(self._capture)

    def close(self) -> None:
        """Frees the webcam."""
        self._capture.release()


def device_path(where: str) -> str | None:
    """Returns the path of a webcam given as number or path; None where numbers have no path."""
    if not where.isdecimal():
        return where
    return f"/dev/video{int(where)}" if sys.platform == "linux" else None


def _check_access(path: str) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
    except FileNotFoundError as error:
        raise SourceError("missing", f"{path} is not there; is a webcam plugged in?") from error
    except PermissionError as error:
        raise SourceError(
            "forbidden", f"{path} cannot be opened; add this user to the group video"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.ENXIO):
            raise SourceError("missing", f"{path} has no webcam behind it") from error
        raise SourceError("busy", f"{path}: {os.strerror(error.errno or errno.EIO)}") from error
