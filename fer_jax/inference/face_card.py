"""One face as HTML for a notebook: its crop, its label and a bar for each expression."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from fer_jax.expressions import COLOURS, EXPRESSIONS

_SIDE = 96  # displayed size of the crop in pixels


def face_card(crop: np.ndarray, probabilities: np.ndarray, *, title: str) -> str:
    """Returns a self-contained piece of HTML.

    Args:
        crop: uint8 [48, 48].
        probabilities: float [7].
        title: trusted plain text; it is not escaped.
    """
    large = cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
    png = base64.b64encode(cv2.imencode(".png", large)[1].tobytes()).decode()
    bars = "".join(
        f'<div style="display:flex;align-items:center;gap:.4em"><span style="width:4.5em">{name}'
        f'</span><span style="height:.7em;width:{6 * share:.2f}em;background:{COLOURS[name]}">'
        f"</span><span>{share:.0%}</span></div>"
        for name, share in zip(EXPRESSIONS, map(float, probabilities), strict=True)
    )
    return (
        '<div style="display:flex;gap:.8em;font:12px sans-serif">'
        f'<img alt="{title}" width="{_SIDE}" height="{_SIDE}" src="data:image/png;base64,{png}">'
        f"<div><b>{title}</b>{bars}</div></div>"
    )
