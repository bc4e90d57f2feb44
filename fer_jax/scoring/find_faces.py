"""Reads the image of one view, finds its faces and crops them; the pixels are then dropped."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import cv2
import numpy as np

from fer_jax.faces.crop import crop_face, grey_crop
from fer_jax.faces.detect import Detection, Detector, left_to_right
from fer_jax.faces.quality import face_quality
from fer_jax.faces.turning import TurningDetector
from fer_jax.media.child import DecoderUnavailableError
from fer_jax.media.decoder import Decoder
from fer_jax.media.encoding import jpeg
from fer_jax.media.image_errors import BadImageError
from fer_jax.scoring.views import ScoredFace, View, reason

_IMAGE_SIZE = 96  # pixels; of the faces in the summary
_MOST_IMAGES = 30  # of one view: a crowd would fill the memory
_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


def find_faces(
    view: View,
    detector: Detector,
    decoder: Decoder,
    *,
    images: bool = False,
    rotate: bool = False,
) -> None:
    """Fills in a view's size and faces, or its error.

    Args:
        view: an image to read, or a frame, whose image is dropped; a video's end has no faces.
        detector: safe to call from several threads.
        decoder: the calling thread's.
        images: also keep a small image of each face.
        rotate: look at images, not at frames, in all four turns; the view's note names the turn.

    Raises:
        FerError: no decoder can be started.
    """
    if view.error is not None or (view.video and view.frame is None):
        return
    if rotate and not view.video:
        detector = TurningDetector(detector)
    try:
        with _image(view, decoder) as image:
            height, width = image.shape[:2]
            found = left_to_right(detector.detect(image))
            faces = [ScoredFace(each, grey_crop(image, each)) for each in found]
            for face in faces:
                face.quality = face_quality(face.crop, face.detection, width=width, height=height)
            for face in faces[:_MOST_IMAGES] if images else ():
                face.image = _face_image(image, face.detection)
    except DecoderUnavailableError:
        raise
    except BadImageError as error:
        view.error = str(error)
        return
    except Exception as error:  # noqa: BLE001  no input may end the run
        view.error = reason(error)
        return
    view.size = width, height
    view.faces = faces
    if found and found[0].turns:
        turned = f"its faces stand upright after a turn of {90 * found[0].turns} degrees clockwise"
        view.note = "; ".join(filter(None, (view.note, turned)))


@contextlib.contextmanager
def _image(view: View, decoder: Decoder) -> Iterator[np.ndarray]:
    if view.data is not None:
        data, view.data = view.data, None
        with decoder.decoded(data) as image:
            view.note = decoder.note or None
            yield image
    elif view.frame is None:
        with decoder.opened(view.path) as image:
            view.note = decoder.note or None
            yield image
    else:
        image = view.frame.image
        view.frame = dataclasses.replace(view.frame, image=_NO_PIXELS)
        yield image


def _face_image(image: np.ndarray, detection: Detection) -> bytes:
    face = crop_face(image, detection, size=_IMAGE_SIZE)
    if max(face.shape[:2]) > _IMAGE_SIZE:
        face = cv2.resize(face, (_IMAGE_SIZE, _IMAGE_SIZE), interpolation=cv2.INTER_AREA)
    return jpeg(face, quality=80)
