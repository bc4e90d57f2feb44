"""The contents of README and docs: blocks of code, commands, and text between backticks."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
SHELL = ("sh", "bash", "console")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int  # of its first line, from 1
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(page, text.count("\n", 0, found.start(2)) + 1, found[1], found[2])
        for found in _FENCE.finditer(text)
    ]


def spans(page: Path) -> list[str]:
    """Text between backticks outside of fenced blocks, each on one line."""
    return [" ".join(span.split()) for span in _SPAN.findall(_FENCE.sub("", page.read_text()))]


def commands(block: Block) -> list[str]:
    """The commands of a shell block, each on one line, without prompts and output."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [line for line in lines if shlex.split(line, comments=True)]


def known_flags() -> set[str]:
    """Every flag defined by a parser of this repository."""
    found: set[str] = {"--config", "--help"}
    for room in ("fer_jax", "server", "benchmarks"):
        for source in (ROOT / room).rglob("*.py"):
            found.update(re.findall(r'"(--[a-z][a-z0-9-]*)"', source.read_text()))
            for name in re.findall(r'flags\.DEFINE_\w+\(\s*"(\w+)"', source.read_text()):
                found |= {f"--{name}", f"--no{name}"}
    return found
