"""Shell completions, requested as argcomplete's scripts for bash and zsh do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("fer-jax sc", {"score"}),
        ("fer-jax score --annot", {"--annotate"}),
        ("fer-jax live --privacy pix", {"pixelate"}),
    ],
)
def test_the_shell_completes_commands_flags_and_values(
    line: str, completed: set[str], tmp_path: Path
) -> None:
    pytest.importorskip("argcomplete", reason='needs argcomplete: pip install ".[completion]"')
    answer = tmp_path / "answer"
    asked = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    run = [sys.executable, "-m", "fer_jax"]
    subprocess.run(run, env={**os.environ, **asked}, check=True, timeout=60)
    assert {word.strip() for word in answer.read_text().split("\n")} == completed
