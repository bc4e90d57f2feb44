"""What the wheel has beside pyproject.toml: the recipes, and README with links that work anywhere.

`configs/` is installed as the package `fer_jax.recipes`. Links of README.md lead into the repository. A
package index shows the page elsewhere, so a release names where the repository is shown:

    README_BASE=https://HOST/OWNER/fer_jax/blob/v0.1.0 pip wheel --no-deps .
"""

import os
import re
from pathlib import Path

from setuptools import find_packages, setup

_LINK = re.compile(r"""(\]\(|src=")(?!https?:|\#)([^)"]+)""")
_IMAGE = re.compile(r"\.(webp|png|jpg)$")


def description() -> str:
    """Returns README.md, its links absolute if $README_BASE says where they lead."""
    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    base = os.environ.get("README_BASE", "").rstrip("/")

    def absolute(match: re.Match[str]) -> str:
        start, path = match.groups()
        return f"{start}{base}/{path}{'?raw=true' if _IMAGE.search(path) else ''}"

    return _LINK.sub(absolute, text) if base else text


setup(
    packages=[
        *find_packages(include=["fer_jax", "fer_jax.*", "server", "server.*"]),
        "fer_jax.recipes",
    ],
    package_dir={"fer_jax.recipes": "configs"},
    long_description=description(),
    long_description_content_type="text/markdown",
)
