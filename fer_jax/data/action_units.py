"""The facial muscles of each expression: FACS action units with their intensities, as data.

Numbers and names are those of P. Ekman and W. V. Friesen, Facial Action Coding System (1978). The
sets per expression are the usual prototypes of the FACS Investigator's Guide (Ekman, Friesen and
Hager, 2002) and simplified variants of them. Intensity 1.0 is FACS grade E (maximum), 0.0 is rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ACTION_UNITS: Mapping[int, str] = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    12: "lip corner puller",
    15: "lip corner depressor",
    16: "lower lip depressor",
    17: "chin raiser",
    20: "lip stretcher",
    23: "lip tightener",
    25: "lips part",
    26: "jaw drop",
    27: "mouth stretch",
}

# Intensities 0 to 1 indexed by action unit number, so that `activation[12]` reads as AU12.
Activation = Sequence[float]
ACTIVATION_LENGTH = max(ACTION_UNITS) + 1

# Action unit -> (lowest, highest) intensity. Each face uses one variant, all equally likely.
Variant = Mapping[int, tuple[float, float]]

EXPRESSION_VARIANTS: Mapping[str, tuple[Variant, ...]] = {
    "angry": (
        {4: (0.7, 1.0), 5: (0.2, 0.6), 7: (0.5, 1.0), 23: (0.5, 1.0)},
        {4: (0.7, 1.0), 7: (0.5, 1.0), 17: (0.2, 0.6), 23: (0.6, 1.0)},
        {
            4: (0.7, 1.0),
            5: (0.3, 0.8),
            7: (0.2, 0.5),
            10: (0.2, 0.5),
            16: (0.3, 0.7),
            25: (0.6, 1.0),
            26: (0.2, 0.7),
        },
    ),
    "disgust": (
        {9: (0.7, 1.0), 15: (0.4, 0.9), 4: (0.1, 0.4)},
        {9: (0.7, 1.0), 10: (0.4, 0.8), 15: (0.2, 0.6), 17: (0.3, 0.8)},
        {9: (0.7, 1.0), 10: (0.6, 1.0), 16: (0.2, 0.6), 25: (0.4, 0.9), 6: (0.1, 0.4)},
    ),
    "fear": (
        {
            1: (0.7, 1.0),
            2: (0.3, 0.7),
            4: (0.4, 0.8),
            5: (0.6, 1.0),
            20: (0.5, 1.0),
            26: (0.3, 0.8),
        },
        {
            1: (0.7, 1.0),
            2: (0.3, 0.7),
            4: (0.4, 0.8),
            5: (0.6, 1.0),
            20: (0.6, 1.0),
            25: (0.5, 1.0),
        },
    ),
    "happy": (
        {6: (0.5, 1.0), 12: (0.6, 1.0)},
        {6: (0.5, 1.0), 12: (0.6, 1.0), 25: (0.6, 1.0)},
        {6: (0.6, 1.0), 12: (0.7, 1.0), 25: (0.6, 1.0), 26: (0.3, 0.9)},
    ),
    "neutral": ({}, {}, {25: (0.1, 0.4)}),
    "sad": (
        {1: (0.7, 1.0), 4: (0.2, 0.6), 15: (0.5, 1.0)},
        {1: (0.7, 1.0), 4: (0.2, 0.6), 15: (0.5, 1.0), 17: (0.4, 0.9)},
        {1: (0.6, 1.0), 4: (0.3, 0.6), 6: (0.1, 0.5), 15: (0.6, 1.0), 25: (0.2, 0.6)},
    ),
    "surprise": (
        {1: (0.6, 1.0), 2: (0.6, 1.0), 5: (0.4, 0.9), 26: (0.5, 1.0)},
        {1: (0.6, 1.0), 2: (0.6, 1.0), 5: (0.4, 0.9), 27: (0.5, 1.0)},
    ),
}
