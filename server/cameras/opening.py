"""The cameras of a server: `open_cameras` makes one `Camera` for every source of the settings.

    cameras = await open_cameras(settings)
    frame = await cameras[0].slot.get()

A camera that is missing, hangs or fails keeps trying, reports it in its `state`, and never raises.
"""

from __future__ import annotations

from server.cameras.browser_camera import BrowserCamera, CameraBusyError, Visit
from server.cameras.camera import Camera, CameraState, Status
from server.cameras.captured_camera import CapturedCamera
from server.settings import Settings

__all__ = [
    "BrowserCamera",
    "Camera",
    "CameraBusyError",
    "CameraState",
    "CapturedCamera",
    "Status",
    "Visit",
    "open_cameras",
]


async def open_cameras(settings: Settings) -> list[Camera]:
    """Returns the started cameras of `settings.sources`, in order; close each of them at the end.

    It does not wait for images: each camera reports its progress in its `state`.
    """
    cameras: list[Camera] = []
    for source in settings.sources:
        if source.kind == "browser":
            cameras.append(BrowserCamera(source, limits=settings.limits))
        else:
            cameras.append(CapturedCamera(source, settings=settings))
    for camera in cameras:
        await camera.start()
    return cameras
