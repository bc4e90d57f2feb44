"""The benchmark suite: parts that run, parts that are left out, and ratios that got worse."""

import argparse
import json
import sys

import live_load
import live_unpaced
import live_viewers
import numpy as np
import pytest
import startup
import suite
from write_tables import with_tables

from tests.media.sample_videos import EVERY_FRAME_WHOLE, encode
from tests.other_python import other_python
from tests.small_checkpoint import write_workdir

OPTIONS = argparse.Namespace()


def part(script, *, needs=None):
    return suite.Part(
        str(script),
        lambda options: [],
        lambda options: needs,
        lambda report: report["ratios"],
        lambda report: {"speed": f"{report['speed']} images/s"},
    )


def test_a_part_runs_as_its_own_command_and_reports_medians(tmp_path):
    script = tmp_path / "bench.py"
    report = {"speed": 5, "ratios": {"ours / theirs": [2.0, 4.0, 3.0]}}
    script.write_text(f"import sys\nopen(sys.argv[2], 'w').write({json.dumps(report)!r})\n")
    assert suite.measured(part(script), OPTIONS) == {
        "ratios": {"ours / theirs": {"median": 3.0, "rounds": [2.0, 4.0, 3.0]}},
        "figures": {"speed": "5 images/s"},
    }


def test_a_part_that_cannot_run_is_left_out_with_its_reason(tmp_path):
    script = tmp_path / "bench.py"
    script.write_text("raise SystemExit(3)\n")
    assert suite.measured(part(script, needs="no photographs"), OPTIONS) == {
        "left_out": "no photographs"
    }
    assert suite.measured(part(script), OPTIONS) == {"left_out": "bench.py ended with exit code 3"}


def test_only_a_much_smaller_ratio_is_reported_as_worse():
    def report(median):
        return {"parts": {"scoring": {"ratios": {"ours / theirs": {"median": median}}}}}

    assert list(suite.worse(report(4.0), report(5.0))) == []
    assert list(suite.worse(report(3.0), report(5.0))) == [
        "scoring: ours / theirs is 3.00, was 5.00"
    ]
    assert list(suite.worse(report(3.0), {"parts": {"scoring": {"left_out": "no fer"}}})) == []


def test_parts_that_were_not_run_keep_their_figures(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"parts": {"training": {"figures": {"a": "1"}}}}))
    new = {"parts": {"training": {"left_out": "no Keras"}, "network": {}}}
    assert suite.merged(path, new)["parts"] == {"training": {"figures": {"a": "1"}}, "network": {}}


def test_the_committed_report_fills_the_page():
    page = with_tables("<!-- table: suite -->\n<!-- end -->\n", name="page")
    for name, one in json.loads(suite.REPORT.read_text())["parts"].items():
        assert f"| {name} | " in page
        assert all(what in page for what in one.get("figures", {}))


def test_a_process_is_timed_to_its_end_with_the_memory_it_took():
    line = [sys.executable, "-c", "print('x' * 10_000_000)"]
    took = startup.run(line, {})
    assert took.seconds > 0
    assert took.mebibytes > 10


def test_every_part_that_needs_something_says_what_is_missing(tmp_path):
    pythons = {f"{name}_python": str(tmp_path / name) for name in ("keras", "fer", "torch")}
    options = argparse.Namespace(**pythons, dir=None, video=None, install=False)
    reasons = {name: one.needs(options) for name, one in suite.PARTS.items()}
    assert reasons["training"].startswith(f"{tmp_path}/keras has no tensorflow")
    assert reasons["training-pytorch"].startswith(f"{tmp_path}/torch has no torch")
    assert {name for name, why in reasons.items() if why is None} <= {"live", "start-up"}


@pytest.mark.long
def test_the_suite_reads_what_the_live_load_writes(tmp_path, monkeypatch):
    """On a small server, with a crowd of 5 in place of 100, and without the package fer."""
    monkeypatch.setattr(live_viewers, "CROWD", 4)
    monkeypatch.setattr(live_viewers, "BAD", 1)
    monkeypatch.setattr(live_unpaced, "ROUNDS", 1)
    fer = other_python(tmp_path, 'serve({"watch": work}, about="fer 0")')
    frames = np.random.default_rng(0).integers(0, 256, (30, 96, 128, 3), np.uint8)
    video = encode(tmp_path / "clip.mkv", frames, *EVERY_FRAME_WHOLE)
    written = tmp_path / "report.json"
    line = ["latency", "crowd", "unpaced", "--video", str(video), "--fer-python", fer]
    line += ["--checkpoint", str(write_workdir(tmp_path / "run")), "--seconds", "1"]
    assert live_load.main([*line, "--json", str(written)]) == 0
    report = json.loads(written.read_text())
    viewers, watching = suite.PARTS["live"], suite.PARTS["live-video"]
    for one, names in (
        (viewers, {"one viewer", "80 viewers", "80 viewers alongside 20 that read badly"}),
        (watching, {"fer_jax", "fer"}),
    ):
        assert one.figures(report).keys() == names
        (rounds,) = one.ratios(report).values()
        assert rounds[0] > 0
