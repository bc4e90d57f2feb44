"""The shipped recipes: in `configs/` of a checkout, in `fer_jax/recipes/` of an installed package."""

from __future__ import annotations

import difflib
import os
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

from fer_jax.errors import ConfigError

if TYPE_CHECKING:
    from ml_collections import config_dict

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED, _CHECKOUT = _PACKAGE / "recipes", _PACKAGE.parent / "configs"


def recipe_folder() -> Path:
    """Returns the folder of the shipped recipes; a folder `configs` elsewhere is never used."""
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def recipe_names() -> list[str]:
    """Returns the names of the shipped recipes, sorted."""
    return sorted(path.stem for path in recipe_folder().glob("[a-z]*.py"))


def configuration_file(text: str) -> Path:
    """Returns the file that `--config` means: a shipped recipe by its name, or any file by its path.

    Args:
        text: "base", or a path that ends in .py or has a folder in it.

    Raises:
        ConfigError: there is no such recipe or file.
    """
    known = f"the shipped recipes are {', '.join(recipe_names())}"
    if text.endswith(".py") or os.sep in text:
        if not Path(text).is_file():
            raise ConfigError(f"--config {text}: no such file; {known}")
        return Path(text)
    if text not in recipe_names():
        near = difflib.get_close_matches(text, recipe_names(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"{known}; a file needs its .py"
        raise ConfigError(f"--config {text}: no recipe has that name; {hint}")
    return recipe_folder() / f"{text}.py"


def recipe(name: str) -> config_dict.ConfigDict:
    """Returns the settings of a shipped recipe, for another recipe to edit.

    Raises:
        ConfigError: there is no recipe of that name.
    """
    return runpy.run_path(str(configuration_file(name)))["get_config"]()
