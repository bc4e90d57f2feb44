import csv
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import matplotlib
import pytest

from fer_jax.pretrained import DEFAULT, shipped_names

ROOT = Path(__file__).resolve().parents[2]


SHOWN_AT = "https://example.org/someone/fer_jax/blob/v0.1.0"


def run(*line: str | Path, cwd: Path) -> str:
    # A PYTHONPATH that names the checkout would hide the wheel.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["README_BASE"] = SHOWN_AT
    done = subprocess.run(
        [str(word) for word in line],
        check=False,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with our wheel that finds everything else in the environment of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    offline = ("--no-deps", "--no-index", "--quiet", "--disable-pip-version-check")
    build = ("wheel", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    run(sys.executable, "-m", "pip", *build, *offline, cwd=folder)
    run(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    run(sys.executable, "-m", "pip", "--python", python, "install", wheel, *offline, cwd=folder)
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_wheel_contains_all_it_needs_to_score_a_photo_from_an_empty_folder(
    fresh_python: Path, tmp_path: Path
) -> None:
    if DEFAULT not in shipped_names():
        pytest.skip("no checkpoint is released into the package")
    where = run(fresh_python, "-c", "import fer_jax; print(fer_jax.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(fresh_python.parents[1])
    photo = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")
    run(fresh_python, "-m", "fer_jax.score", photo, "--out", "faces.csv", cwd=tmp_path)
    with (tmp_path / "faces.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["status"] == "ok"
    assert float(row["confidence"]) > 0.3


def test_links_of_the_description_lead_to_where_the_repository_is_shown(
    fresh_python: Path, tmp_path: Path
) -> None:
    probe = "from importlib.metadata import metadata; print(metadata('fer_jax')['Description'])"
    text = run(fresh_python, "-c", probe, cwd=tmp_path)
    links = re.findall(r"""(?:\]\(|src=")([^)"]+)""", text)
    assert f"{SHOWN_AT}/docs/viewer.webp?raw=true" in links
    assert f"{SHOWN_AT}/docs/photo.jpg?raw=true" in links
    assert f"{SHOWN_AT}/docs/server.md" in links
    assert all(link.startswith("https://") for link in links)
    within = (link.removeprefix(SHOWN_AT + "/").removesuffix("?raw=true") for link in links)
    assert all((ROOT / path).exists() for path in within)


def test_the_wheel_contains_the_viewers_page(fresh_python: Path, tmp_path: Path) -> None:
    probe = "import server, pathlib; print(*pathlib.Path(server.__file__).parent.glob('web/*'))"
    names = {Path(name).name for name in run(fresh_python, "-c", probe, cwd=tmp_path).split()}
    assert {"index.html", "style.css", "login.html"} <= names


def test_the_wheel_has_the_command_and_imports_nothing_from_the_current_folder(
    fresh_python: Path, tmp_path: Path
) -> None:
    (tmp_path / "server.py").write_text("raise SystemExit('the wrong server')")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "base.py").write_text("raise SystemExit('the wrong recipe')")
    script = fresh_python.with_name("fer-jax")
    version = run(script, "--version", cwd=tmp_path)
    assert version == run(fresh_python, "-m", "fer_jax", "--version", cwd=tmp_path)
    for line in ((script,), (fresh_python, "-m", "fer_jax")):
        assert "usage: fer-jax live" in run(*line, "live", "--help", cwd=tmp_path)
    probe = (
        "from fer_jax.config import recipe; print(recipe('crowd').epochs, recipe('seed').epochs)"
    )
    assert run(fresh_python, "-c", probe, cwd=tmp_path) == "26 15\n"


def test_scoring_needs_none_of_the_packages_for_training(
    fresh_python: Path, tmp_path: Path
) -> None:
    if DEFAULT not in shipped_names():
        pytest.skip("no checkpoint is released into the package")
    photo = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")
    blocked = ("tensorflow_datasets", "array_record", "ml_collections", "pyarrow", "pandas")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked})); "
        "from fer_jax.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    said = run(fresh_python, "-c", code, "score", photo, "--quiet", cwd=tmp_path)
    heading, line = said.splitlines()
    assert heading.split() == ["file", "face", "expression", "confidence", "next", "where"]
    assert line.startswith(f"{photo}  #1  ")
    assert list(tmp_path.iterdir()) == []
