"""A server whose larger batches compile for ever; `python -m` starts it."""

from __future__ import annotations

import sys
import threading

from fer_jax.inference.buckets import Buckets
from server.__main__ import main


def compile_for_ever(buckets: Buckets) -> None:
    """Stands in for the compilation of all sizes but the smallest."""
    threading.Event().wait()


if __name__ == "__main__":
    Buckets._compile_others = compile_for_ever
    main(sys.argv[1:])
