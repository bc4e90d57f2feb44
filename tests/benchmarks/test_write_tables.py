"""Tables and figures in README, RESULTS and docs come from cards and reports, not by hand."""

import ast
import json
import re
from pathlib import Path

import pytest
import report_files
import scale_table
import write_tables
from figures import FIGURES
from markdown_tables import percent
from network_table import network_size

from fer_jax.config import from_config_dict, recipe
from fer_jax.data.degradations import DEGRADATIONS
from fer_jax.errors import FerError
from fer_jax.models import MODELS
from fer_jax.pretrained import PRETRAINED, shipped_names

ROOT = Path(__file__).resolve().parents[2]


def test_every_table_and_figure_in_readme_and_docs_is_current(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = write_tables.main(["--check"])
    assert (status, capsys.readouterr().err) == (0, "")


def test_every_table_and_figure_is_shown_on_a_page() -> None:
    pages = "".join(
        path.read_text() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))
    )
    shown = set(re.findall(r"<!-- (?:table|figure): (\w+) -->", pages))
    assert shown == write_tables.TABLES.keys() | FIGURES.keys()


def test_a_table_changed_by_hand_is_rewritten() -> None:
    page = "before\n<!-- table: model_speed -->\n| network |\n<!-- end -->\nafter\n"
    text = write_tables.with_tables(page, name="page.md")
    assert text.startswith("before\n<!-- table: model_speed -->\n| network | parameters |")
    assert text.endswith(" |\n<!-- end -->\nafter\n")
    assert write_tables.with_tables(text, name="page.md") == text


def test_a_figure_within_a_sentence_changed_by_hand_is_rewritten() -> None:
    page = "of the faces <!-- figure: confident -->99 %<!-- end --> are right"
    text = write_tables.with_tables(page, name="page.md")
    assert re.fullmatch(r"of .* -->\d\d\.\d %<!-- end --> are right", text)
    assert "99 %" not in text


def test_an_unknown_table_is_refused_with_the_page_and_the_known_names() -> None:
    page = "<!-- table: speed -->\n<!-- end -->\n"
    with pytest.raises(FerError, match=r"page\.md: no table 'speed'; there are comparison, "):
        write_tables.with_tables(page, name="page.md")


def test_the_speed_of_one_face_on_one_core_is_the_same_on_every_page() -> None:
    (ours,) = re.findall(r"\*\*`fer_jax`\*\* \|.*?(\d\.\d ms)", (ROOT / "README.md").read_text())
    benchmarks = (ROOT / "docs/benchmarks.md").read_text()
    ((network, theirs),) = re.findall(r"\| fer_jax, `(\w+)` .*?(\d\.\d ms)", benchmarks)
    assert (network, theirs) == (report_files.card()["model"], ours)
    same = [name for name in shipped_names() if report_files.card(name)["model"] == network]
    for name in same:
        text = (PRETRAINED / name / "MODEL_CARD.md").read_text()
        assert f"1 core: one face takes {ours}" in text


def test_statements_in_results_about_degraded_faces_and_groups_hold() -> None:
    evaluation = report_files.evaluation()
    assert list(evaluation["degraded"]["kinds"]) == list(DEGRADATIONS)
    for kind in ("light", "contrast", "sharpness"):
        low, high = evaluation["groups"][kind]["largest_gap"]["interval"]
        assert low < 0 < high, "RESULTS.md says that the interval includes zero"


def test_a_report_of_another_network_is_refused_with_the_command_that_measures_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = {"digest": "0" * 64, "command": "fer-jax evaluate --degraded"}
    (tmp_path / "evaluation.json").write_text(json.dumps(report))
    monkeypatch.setattr(report_files, "REPORTS", tmp_path)
    with pytest.raises(FerError, match=r"evaluation\.json is of 000000000000, .* --degraded"):
        report_files.evaluation()


def test_a_shipped_network_without_its_training_is_refused() -> None:
    with pytest.raises(FerError, match=r"trainings\.json: add the run of network 000000000000"):
        report_files.training_of("0" * 64)


def test_an_evaluation_is_kept_without_the_folders_of_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_files, "REPORTS", tmp_path)
    whole = {"checkpoint": "/somewhere/run", "digest": "0" * 64, "degraded": {}}
    (tmp_path / "report.json").write_text(json.dumps(whole))
    with pytest.raises(FerError, match=r"report\.json lacks groups; run fer-jax evaluate"):
        report_files.keep_evaluation(tmp_path)
    group = {"count": 2, "accuracy": 0.5, "accuracy_interval": [0.1, 0.9]}
    light = {"groups": {"all": {**group, "loss": 1.0}}, "largest_gap": None}
    (tmp_path / "report.json").write_text(json.dumps({**whole, "groups": {"light": light}}))
    report_files.keep_evaluation(tmp_path)
    kept = json.loads((tmp_path / "evaluation.json").read_text())
    assert kept["groups"]["light"]["groups"] == {"all": group}
    assert "/somewhere" not in json.dumps(kept)


# The run that a recipe now produces; `adjusted` used to finish another one.
RUNS = {run["run"].rpartition(", ")[2]: run for run in report_files.report("trainings")}


@pytest.mark.parametrize("name", RUNS)
def test_a_recipe_names_the_figures_of_its_run(name: str) -> None:
    run = RUNS[name]
    source = (ROOT / "configs" / f"{name}.py").read_text()
    text = " ".join((ast.get_docstring(ast.parse(source)) or "").split())
    figures = {**report_files.shipped(), **run}
    votes = from_config_dict(recipe(name)).data.labels == "votes"
    assert run["digest"] in text
    assert percent(figures["accuracy" if votes else "label_accuracy"]) in text
    if votes:
        assert f"{percent(figures['flip_accuracy'])} flip-averaged" in text
        assert f"UAR {percent(figures['uar'])}" in text


def test_the_size_of_a_network_is_that_of_its_layers() -> None:
    size = network_size("seed_cnn")
    convolutions = ((48, 3, 1, 64), (24, 5, 64, 128), (12, 3, 128, 512), (6, 3, 512, 512))
    dense = ((3 * 3 * 512, 256), (256, 512), (512, 7))
    products = [side**2 * kernel**2 * given * out for side, kernel, given, out in convolutions]
    assert size.multiplications == sum(products) + sum(given * out for given, out in dense)
    weights = [kernel**2 * given * out for _, kernel, given, out in convolutions]
    biases = 3 * (64 + 128 + 512 + 512 + 256 + 512) + 7  # of layers, and scale and bias of norms
    assert size.parameters == sum(weights) + sum(given * out for given, out in dense) + biases


def test_the_page_of_networks_names_every_network_with_the_recipes_that_train_it() -> None:
    page = (ROOT / "docs/models.md").read_text()
    used = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|$", page, re.MULTILINE))
    assert list(used) == list(MODELS)
    for path in (ROOT / "configs").glob("[a-z]*.py"):
        network = recipe(path.stem).model.name
        assert f"`{path.stem}`" in used[network], f"{path.stem} trains {network}"
    for name in shipped_names():
        assert "shipped" in used[report_files.card(name)["model"]]


def test_the_slowest_part_decides_how_long_a_large_run_takes() -> None:
    def hours(**limits: float) -> float:
        return scale_table.hours(3_600_000, workers=10, rate=10, start_s=360, **limits)

    assert hours() == pytest.approx(10.1)
    assert hours(bytes_per_image=1000, store_bytes_per_s=50_000) == pytest.approx(20.1)
    assert hours(units_per_s=0.025, images_per_unit=1000) == pytest.approx(40.1)
    assert hours(lost_share=0.5) == pytest.approx(15.1)
