"""The live server under load, on loopback: `python benchmarks/live_load.py all --checkpoint DIR`.

Each command starts its own server, loads it for a limited time and prints the figures with their
targets; --json keeps them by command, under names that do not change. Clients and server share the
machine's cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from live_costs import kinds
from live_requests import farewell, overload
from live_stage import Figures, Options
from live_unpaced import unpaced
from live_viewers import cameras, crowd, latency, start

from fer_jax import command
from fer_jax.machine.files import write_json
from fer_jax.machine.processor import usable_cores
from fer_jax.pretrained import CHECKPOINT_HELP

COMMANDS: dict[str, Callable[[Options], Figures]] = {
    one.__name__: one
    for one in (start, latency, unpaced, crowd, cameras, kinds, overload, farewell)
}


def main(argv: Sequence[str]) -> int:
    """Runs the commands that `argv` names, or all."""
    options = _parser().parse_args(argv)
    names = list(COMMANDS) if "all" in options.commands else options.commands
    print(f"{usable_cores()} cores, {options.seconds:g} s each", flush=True)
    figures: dict[str, Figures] = {}
    for name in names:
        print(f"\n{name}: {COMMANDS[name].__doc__}", flush=True)
        figures[name] = COMMANDS[name](options)
    if options.json:
        setting = {"cores": usable_cores(), "seconds": options.seconds}
        write_json(options.json, {**setting, "figures": figures})
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(prog="live_load.py", description=__doc__)
    parser.add_argument("commands", nargs="+", choices=[*COMMANDS, "all"])
    parser.add_argument("--checkpoint", help=CHECKPOINT_HELP)
    parser.add_argument("--video", help="a video file, for unpaced")
    parser.add_argument(
        "--fer-python", help="for unpaced, as in score_throughput.py; default: only fer_jax"
    )
    parser.add_argument(
        "--seconds", type=float, default=15.0, help="seconds to measure; %(default)s"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="to write the figures to")
    return parser


if __name__ == "__main__":
    sys.exit(command.run(main))
