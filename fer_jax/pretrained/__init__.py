"""The networks that ship inside the package, by name.

`crowd` learned what ten people see in a face; it is the default everywhere. `fer2013` learned FER2013's
own labels and serves comparisons with the literature.
"""

from __future__ import annotations

import os
from pathlib import Path

from fer_jax.errors import CheckpointError

PRETRAINED = Path(__file__).parent
NAMES = ("crowd", "fer2013")
DEFAULT = "crowd"
CHECKPOINT_HELP = f"{', '.join(NAMES)}, a workdir or a checkpoint folder; default: {DEFAULT}"


def shipped_names() -> list[str]:
    """Returns the names of the networks in this installation."""
    return [name for name in NAMES if (PRETRAINED / name / "model").is_dir()]


def checkpoint_path(checkpoint: str | os.PathLike[str] | None) -> Path:
    """Returns the folder that `checkpoint` names.

    Args:
        checkpoint: a shipped name as a str, otherwise a path; None for the default network. A folder
            that has a shipped name is written `./crowd`, or given as a Path.

    Raises:
        CheckpointError: this installation does not have the network of that name.
    """
    if checkpoint is None:
        checkpoint = DEFAULT
    if not isinstance(checkpoint, str) or checkpoint not in NAMES:
        return Path(checkpoint).expanduser()
    found = shipped_names()
    if checkpoint not in found:
        raise CheckpointError(
            f"{checkpoint}: this installation does not have that network, it has "
            f"{', '.join(found) or 'none'}; name one of those or a workdir of fer_jax.train"
        )
    return PRETRAINED / checkpoint
