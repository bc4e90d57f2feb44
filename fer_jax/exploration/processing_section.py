"""The part of the explore page that reports processing of the images, with the worst of them."""

from __future__ import annotations

import html

from fer_jax.data.processing import worst
from fer_jax.exploration.face_tags import face_tags
from fer_jax.exploration.statistics import Exploration

_SHOWN = 12  # faces of each kind


def processing_section(found: Exploration) -> str:
    """Returns a paragraph in plain words, and the faces that show each kind of processing most."""
    verdicts = found.processing["verdicts"]
    examined = f"{found.processing['statistics']['images']:,} images of {found.main}"
    if not verdicts:
        about = (
            f"Nothing in {examined} says that they were processed: clipped, equalised, or blurred."
        )
        return f"<h2>Processing</h2><p>{about}</p>"
    about = (
        f"{examined} were processed before they came here. A network trained on them learns the "
        "processing, and does worse on photographs and cameras. Look for the original images."
    )
    faces = found.main_faces
    blocks = "".join(
        f"<h3>{verdict}</h3><p class='soft'>{html.escape(text)}</p>"
        + face_tags(
            (faces.images[i], faces.names[i])
            for i in worst(faces.images, verdict, count=_SHOWN).tolist()
        )
        for verdict, text in verdicts.items()
    )
    return f"<h2>Processing</h2><p>{about}</p>{blocks}"
