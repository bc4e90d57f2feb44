"""Starts the live server; this version of the project does not have it yet and says so."""

from __future__ import annotations

import sys

from fer_jax import command
from fer_jax.errors import FerError


def main(argv: list[str]) -> int:
    """Refuses to start."""
    del argv
    raise FerError("this version trains and evaluates; the live server comes with a later one")


if __name__ == "__main__":
    sys.exit(command.run(lambda argv: main(list(argv))))
