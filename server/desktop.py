"""Detects whether the command runs on a desktop, where it can open a browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping


def has_desktop(
    *,
    environment: Mapping[str, str] = os.environ,
    platform: str = sys.platform,
    terminal: bool | None = None,
) -> bool:
    """Returns whether there is a desktop and the command was started from one of its terminals.

    Args:
        environment: holds DISPLAY or WAYLAND_DISPLAY on a Linux desktop, SSH_CONNECTION if the
            user is logged in remotely.
        platform: as `sys.platform`.
        terminal: whether the output is a terminal; None asks standard output. A service has none.
    """
    if terminal is None:
        terminal = sys.stdout is not None and sys.stdout.isatty()
    if not terminal or "SSH_CONNECTION" in environment:
        return False
    shown = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    return platform in ("darwin", "win32") or bool(shown)
