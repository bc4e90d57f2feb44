"""The cache folder: $FER_CACHE_DIR, or ~/.cache/fer_jax.

It holds files that can be rebuilt, and which cameras an operator of the server has hidden.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "FER_CACHE_DIR"


def cache_folder(part: str) -> Path:
    """Returns the folder for one kind of files ("datasets", "privacy", "xla") without making it."""
    return Path(os.path.expanduser(os.environ.get(VARIABLE) or "~/.cache/fer_jax")) / part


def keep_matplotlib_in_cache() -> None:
    """Moves Matplotlib's list of fonts into our cache; call it before Matplotlib is imported.

    It would make two folders in the home otherwise. A user's own settings of Matplotlib are left alone.
    """
    settings = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    if not os.path.exists(os.path.expanduser(f"{settings}/matplotlib")):
        os.environ.setdefault("MPLCONFIGDIR", str(cache_folder("matplotlib")))
