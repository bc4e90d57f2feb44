"""The seven expressions: one canonical order, their colours, and the maps from other orders.

Every class index in this project is an index into `EXPRESSIONS`. No other file spells the list out.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

EXPRESSIONS: tuple[str, ...] = (
    "angry",
    "disgust",
    "fear",
    "happy",
    "neutral",
    "sad",
    "surprise",
)
NUM_EXPRESSIONS = len(EXPRESSIONS)

# Okabe and Ito's palette (jfly.uni-koeln.de/color, 2008): tellable apart without colour vision.
COLOURS: Mapping[str, str] = {
    "angry": "#D55E00",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "happy": "#F0E442",
    "neutral": "#8C8C8C",
    "sad": "#0072B2",
    "surprise": "#56B4E9",
}

# fer2013.csv numbers its classes angry, disgust, fear, happy, sad, surprise, neutral.
FER2013_TO_INDEX: tuple[int, ...] = (0, 1, 2, 3, 5, 6, 4)

# The vote columns of fer2013new.csv (Barsoum et al., 2016). Contempt, unknown and "not a face" have
# no counterpart among the seven.
FERPLUS_COLUMNS: tuple[str, ...] = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
FERPLUS_TO_INDEX: tuple[int | None, ...] = (4, 3, 6, 5, 0, 1, 2, None, None, None)

_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "angry": ("anger", "ang", "an"),
    "disgust": ("disgusted", "dis", "di"),
    "fear": ("fearful", "afraid", "scared", "fea", "fe", "af"),
    "happy": ("happiness", "joy", "joyful", "hap", "ha"),
    "neutral": ("neutrality", "calm", "neu", "ne"),
    "sad": ("sadness", "sa"),
    "surprise": ("surprised", "sur", "su"),
}
_INDEX: Mapping[str, int] = {
    spelling: index
    for index, name in enumerate(EXPRESSIONS)
    for spelling in (name, *_SPELLINGS[name])
}


def index_of(spelling: str) -> int | None:
    """Class index of a usual spelling ("Anger", "happiness", "03_surprised"), None if it names none."""
    return _INDEX.get(_word(spelling))


def nearest(spelling: str) -> str | None:
    """The expression that a misspelt word most likely means ("suprise"), None if it is near none."""
    whole = [word for word in _INDEX if len(word) > 3 or word in EXPRESSIONS]  # no abbreviations
    near = difflib.get_close_matches(_word(spelling), whole, n=1, cutoff=0.7)
    return EXPRESSIONS[_INDEX[near[0]]] if near else None


def _word(spelling: str) -> str:
    return spelling.strip().lower().lstrip("0123456789").strip(" _-.")
