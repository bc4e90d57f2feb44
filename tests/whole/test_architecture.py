"""The architecture: which folder may import which, and how many modules are at the top."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import fer_jax
from fer_jax.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("fer_jax", "server")


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def modules() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts).removesuffix(".__init__"), path


def imports(name: str, path: Path, known: set[str]) -> Iterator[str]:
    """Our modules that a module imports, also inside functions and for types only."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                member = f"{node.module}.{alias.name}"
                found = member if member in known else node.module
                if found in known and found != name:
                    yield found


def folder_of(module: str) -> str:
    """A folder of a package, or a module at its top."""
    return ".".join(module.split(".")[:2])


@functools.cache
def graph() -> dict[str, set[str]]:
    every = dict(modules())
    return {name: set(imports(name, path, set(every))) for name, path in every.items()}


def order(arrows: dict[str, set[str]]) -> list[str]:
    try:
        return list(TopologicalSorter(arrows).static_order())
    except CycleError as error:
        pytest.fail(f"circular imports: {' -> '.join(error.args[1])}")


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert order(graph())


def test_no_folders_import_each_other_in_a_circle() -> None:
    folders: dict[str, set[str]] = {}
    for name, found in graph().items():
        others = {folder_of(other) for other in found} - {folder_of(name)}
        folders.setdefault(folder_of(name), set()).update(others)
    assert order(folders)


def layers() -> dict[str, int]:
    """The layer of each folder in the drawing of docs/architecture.md; the highest is 0."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    drawn = [line for line in page.splitlines() if line.startswith("    ") and "|" not in line]
    names = [re.findall(r"[a-z_]{3,}", line) for line in drawn if "v  " not in line]
    return {name: n for n, line in enumerate(filter(None, names)) for name in line}


def test_no_import_leads_to_a_higher_layer_of_the_drawing() -> None:
    layer = layers()
    assert {"server", "interface", "training", "saved_model", "errors"} <= set(layer)
    for name, found in graph().items():
        if name in ("fer_jax", "fer_jax.__main__"):
            continue
        here = "server" if name.startswith("server") else name.split(".")[1]
        for other in found:
            there = "server" if other.startswith("server") else other.split(".")[1]
            assert layer[there] >= layer[here], f"{name} imports {other}"


@pytest.mark.parametrize(("package", "most"), [("fer_jax", 11), ("server", 9)])
def test_packages_have_few_modules_at_the_top(package: str, most: int) -> None:
    hall = [path for path in (ROOT / package).glob("*.py") if path.name != "__init__.py"]
    assert len(hall) <= most


def test_the_library_does_not_know_the_server() -> None:
    for name, found in graph().items():
        if name.startswith("fer_jax"):
            assert not {other for other in found if other.startswith("server")}, name


def test_every_public_class_name_is_unique() -> None:
    names: dict[str, list[str]] = {}
    for module, path in modules():
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                names.setdefault(node.name, []).append(module)
    assert {name: where for name, where in names.items() if len(where) > 1} == {}


SLOW = {"jax", "ml_collections", "tensorflow_datasets", "matplotlib", "onnxruntime"}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_bad_flag_is_reported_before_slow_imports(name: str) -> None:
    code = (
        "import sys; from fer_jax import command; from fer_jax.__main__ import main; "
        f"code = command.run(main, [{name!r}, '--no-such-flag']); "
        f"print(code, {SLOW} & set(sys.modules))"
    )
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, check=False, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "2 set()", done
    assert len(done.stderr.splitlines()) == 1


def test_what_a_user_imports_is_at_the_top() -> None:
    for name in fer_jax.__all__:
        assert getattr(fer_jax, name)
    with pytest.raises(AttributeError, match="no attribute 'predictor_'"):
        fer_jax.predictor_  # noqa: B018


def test_the_architecture_page_names_every_folder() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    folders = [path for package in PACKAGES for path in (ROOT / package).iterdir() if path.is_dir()]
    folders = [path for path in folders if path.name != "__pycache__"]
    assert len(folders) > 10
    for path in folders:
        assert f"`{path.relative_to(ROOT).as_posix()}/`" in text


def test_every_test_file_is_named_after_a_module_or_lies_where_tests_are_named_by_topic() -> None:
    tests, named = ROOT / "tests", []
    for path in tests.rglob("test_*.py"):
        room, name = path.parent.relative_to(tests), path.stem.removeprefix("test_")
        if room.name != "whole" and room != Path("server/web"):
            named.append((room, name))
    for room, name in named:
        places = (ROOT / "fer_jax" / room, ROOT / room)
        modules = [place / file for place in places for file in (f"{name}.py", f"__{name}__.py")]
        assert any(module.exists() for module in modules), f"tests/{room}/test_{name}.py"
    assert len(named) > 100
