"""The end of a `with` block closes what it holds."""

from __future__ import annotations

import abc
from typing import Self


class ClosedAtExit(abc.ABC):
    """A context manager by its `close`."""

    @abc.abstractmethod
    def close(self) -> None:
        """Gives back what is held; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
