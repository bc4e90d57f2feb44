"""What may reach a terminal: one line, without a control character."""

from __future__ import annotations

import os


def printable(text: str | os.PathLike[str]) -> str:
    r"""Returns a text or path as one line that any UTF-8 terminal shows as it is.

    Control characters, line ends and bytes that are not UTF-8 become `\xNN` and the like.
    """
    return "".join(c if c.isprintable() else _escaped(c) for c in os.fspath(text))


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python holds a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
