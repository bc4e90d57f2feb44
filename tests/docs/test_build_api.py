"""The API pages are built from the docstrings and can be built and read offline."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_api_pages_start_with_what_a_user_imports(tmp_path: Path) -> None:
    pytest.importorskip("pdoc", reason='needs pdoc: pip install ".[docs]"')
    line = [sys.executable, str(ROOT / "docs" / "build_api.py"), str(tmp_path)]
    done = subprocess.run(line, check=True, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    assert "fer_jax.html" in (tmp_path / "index.html").read_text()
    first = (tmp_path / "fer_jax.html").read_text()
    for name in ("Predictor.analyze", "Predictor.video", "Predictor.explain", "Face.as_dict"):
        assert f'id="{name}"' in first, name
    assert not re.findall(r'(?:src|<link[^>]*href)="(?:https?:)?//[^"]*', first)
