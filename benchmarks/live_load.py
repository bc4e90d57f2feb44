"""The live server under load, on loopback: `python benchmarks/live_load.py all --checkpoint DIR`.

Each command starts a server of its own, loads it for a bounded time and prints the figures with what
they should be. Clients and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from live_costs import kinds
from live_requests import farewell, overload
from live_stage import Options
from live_unpaced import unpaced
from live_viewers import cameras, crowd, latency, start

from fer_jax import command
from fer_jax.machine.processor import usable_cores
from fer_jax.pretrained import CHECKPOINT_HELP

COMMANDS: dict[str, Callable[[Options], None]] = {
    one.__name__: one
    for one in (start, latency, unpaced, crowd, cameras, kinds, overload, farewell)
}


def main(argv: Sequence[str]) -> int:
    """Runs one command, or all."""
    options = _parser().parse_args(argv)
    names = list(COMMANDS) if options.command == "all" else [options.command]
    print(f"{usable_cores()} cores, {options.seconds:g} s each", flush=True)
    for name in names:
        print(f"\n{name}: {COMMANDS[name].__doc__}", flush=True)
        COMMANDS[name](options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(prog="live_load.py", description=__doc__)
    parser.add_argument("command", choices=[*COMMANDS, "all"])
    parser.add_argument("--checkpoint", help=CHECKPOINT_HELP)
    parser.add_argument("--video", help="a video file, for unpaced")
    parser.add_argument(
        "--fer-python", help="for unpaced, as of score_throughput.py; default: fer_jax alone"
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="of measuring; %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(command.run(main))
