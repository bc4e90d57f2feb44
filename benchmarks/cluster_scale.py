"""Scores a folder on a Ray cluster of this machine, alternating between one worker and two.

    python benchmarks/cluster_scale.py --dir photos --turns 3

Prints images per second between the first parts and the last, excluding the start of the cluster and of
the network, next to those of the local engine, and what `hours` calculates from them for a large run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scale_table import hours

from fer_jax.cluster.parts import Parts

_IMAGES = 100_000_000
_WORKERS = 1000


def main() -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="of images")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    rates: dict[str, list[float]] = {"local": [], "1 worker": [], "2 workers": []}
    starts: list[float] = []
    for _ in range(options.turns):
        rates["local"].append(_local(options.dir))
        for workers, name in ((1, "1 worker"), (2, "2 workers")):
            rate, start_s = _cluster(options.dir, workers)
            rates[name].append(rate)
            starts.append(start_s)
    median = {name: statistics.median(each) for name, each in rates.items()}
    start_s = statistics.median(starts)
    one, two = median["1 worker"], median["2 workers"]
    told = {
        "images_per_s": rates,
        "median": median,
        "start_s": start_s,
        "two_by_one": two / one,
        "hours": hours(_IMAGES, workers=_WORKERS, rate=one, start_s=start_s),
    }
    print(json.dumps(told, indent=1))
    return 0


def _local(folder: Path) -> float:
    with tempfile.TemporaryDirectory() as out:
        said = _score(folder, Path(out, "faces.csv"))
    return float(said.split(" files/s")[0].split()[-1].replace(",", ""))


def _cluster(folder: Path, workers: int) -> tuple[float, float]:
    """Returns the rate of a run after each worker's first part, and the seconds until then."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place, "faces.csv")
        begun_s = time.time()
        _score(folder, out, "--engine", "ray", "--workers", str(workers))
        parts = Parts(str(out))
        written = []
        for number in parts.numbers():
            count = len({path for path, _ in parts.statuses(number)})
            written.append(((out / f"part-{number:08}.csv").stat().st_mtime, count))
    written.sort()
    first_s = written[workers - 1][0]
    later = sum(count for _, count in written[workers:])
    return later / (written[-1][0] - first_s), first_s - begun_s


def _score(folder: Path, out: Path, *more: str) -> str:
    line = [sys.executable, "-m", "fer_jax", "score", str(folder), "--out", str(out), *more]
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
