"""The cameras of a server: `open_cameras` makes one `Camera` for every source of the settings.

    cameras = await open_cameras(settings)
    frame = await cameras[0].slot.get()

A camera that is missing, hangs or breaks keeps trying, says so in its `state`, and never raises.
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
    """Returns the started cameras of `settings.sources`, in their order; close each in the end.

    It does not wait for an image: a camera tells how it is doing in its `state`.
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
