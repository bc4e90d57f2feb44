"""Commands and snippets in README and docs work as printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fer_jax.config import key_exists
from fer_jax.expressions import EXPRESSIONS
from fer_jax.pretrained import DEFAULT, shipped_names
from tests.documents import PAGES, ROOT, SHELL, Block, blocks, commands, known_flags, spans
from tests.printed_commands import OTHER_LANGUAGES, read_setting, try_command, try_snippet

pytestmark = pytest.mark.skipif(
    DEFAULT not in shipped_names(), reason="no checkpoint is shipped in this tree"
)

_PROGRAMS = ("make ", "python", ".venv/bin/", "fer-jax ")
_SETTING = re.compile(r"(?:data|model|optim|loss|augment|resolution)(?:\.\w+)+=\S+")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that looks like a checkout to a command."""
    for name in ("configs", "constraints.txt"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_of_a_page_works(page: Path, place: Path):
    for block in blocks(page):
        if block.language == "python":
            said = try_snippet(block, place)
            assert said or "print(" not in block.text, f"{block} printed nothing"
            if page.name == "export.md":  # labels, and the probabilities of three faces
                assert said.startswith(str(list(EXPRESSIONS)))
                assert len(re.findall(r"\d\.\d+", said)) == 3 * len(EXPRESSIONS)
        elif block.language in SHELL:
            for line in commands(block):
                try:
                    try_command(line, place)
                except AssertionError as error:
                    raise AssertionError(f"{block}: {line}: {error}") from error
        else:
            assert block.language in OTHER_LANGUAGES, f"{block} is tried by no test"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_flags_and_settings_in_the_text_of_a_page_exist(page: Path, place: Path):
    flags = known_flags()
    for span in spans(page):
        if span.startswith(_PROGRAMS):
            try_command(span, place, run=False)
        elif span.startswith("benchmarks/"):
            path, *arguments = span.split()
            assert (ROOT / path).exists(), f"{name_of(page)}: {path}"
            if arguments:
                try_command(f"python {span}", place, run=False)
        elif span.startswith("--"):
            for word in span.split():
                flag, _, value = word.partition("=")
                setting = flag.removeprefix("--config.")
                if setting == flag:
                    assert not word.startswith("--") or flag in flags, f"{name_of(page)}: {span}"
                elif value:
                    read_setting(f"{setting}={value}")
                else:
                    assert key_exists(setting), f"{name_of(page)}: {span}"
        elif _SETTING.fullmatch(span):
            read_setting(span)


@pytest.mark.parametrize(
    "line",
    [
        "python -m fer_jax.score photo.jpg --out faces.csv --anotate seen",
        "python -m fer_jax.score photo.jpg --out faces.docx",
        "python -m fer_jax.train --config configs/nothing.py",
        "python -m fer_jax.train --config configs/base.py --config.optim.learning=1",
        "python -m fer_jax.nothing",
        "FER_TOKEN=short python -m server",
        "python -m server --host 0.0.0.0",
        "python -m server --source desk=ftp://camera",
        "make nothing",
        "make serve DIRECTORY=photos",
        'pip install -e ".[nothing]"',
        "nothing --at-all",
    ],
)
def test_a_mistake_in_a_command_is_detected(line: str, place: Path):
    with pytest.raises(AssertionError):
        try_command(line, place)


def test_a_mistake_in_a_snippet_is_detected(place: Path):
    text = "from fer_jax import Predictor\nPredictor.load().analyse(None)\n"
    with pytest.raises(AttributeError, match="analyse"):
        try_snippet(Block(ROOT / "README.md", 1, "python", text), place)
