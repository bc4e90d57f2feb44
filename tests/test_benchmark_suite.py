"""The suite of benchmarks: parts that run, parts that are left out, and ratios that got worse."""

import argparse
import json
import sys

import startup
import suite
from write_tables import with_tables

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


def test_only_a_much_smaller_ratio_is_called_worse():
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
