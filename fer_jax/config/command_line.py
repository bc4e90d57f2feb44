"""Reads `--config RECIPE` and its `--config.key=value` overrides.

Keys are checked before ml_collections is imported, so that a mistake is reported at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fer_jax.config.recipes import configuration_file
from fer_jax.config.schema import Config, from_config_dict, key_exists, unknown_key_message
from fer_jax.errors import ConfigError


def read_config(text: str, overrides: Sequence[str]) -> tuple[Config, Path]:
    """Returns the checked configuration and the file it was read from.

    Args:
        text: what `--config` names, see `recipes.configuration_file`.
        overrides: `--config.KEY=VALUE` arguments; the value may also be the next argument.

    Raises:
        ConfigError: an unknown key, argument or file, or a value that cannot be used.
    """
    _check_keys(overrides)
    file = configuration_file(text)
    return _from_file(file, overrides), file


def _from_file(file: Path, overrides: Sequence[str]) -> Config:
    from absl import flags
    from ml_collections import config_dict, config_flags

    values = flags.FlagValues()
    line = ["fer_jax", f"--config={file}", *overrides]
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=line)
    try:
        rest = values(line)[1:]
        if rest:
            raise ConfigError(f"{rest[0]!r} is not understood; --help lists what train takes")
        if not isinstance(values.config, config_dict.ConfigDict):
            raise ConfigError(_wants_get_config(file, "get_config() returned something else"))
        return from_config_dict(values.config.to_dict())
    except ConfigError:
        raise
    except (flags.Error, TypeError) as error:
        raise ConfigError(_one_line(error)) from error
    except Exception as error:  # the file is a person's own program: anything may go wrong in it
        raise ConfigError(_wants_get_config(file, f"{type(error).__name__}: {error}")) from error


def _wants_get_config(file: Path, problem: str) -> str:
    return _one_line(
        f"{file}: {problem[:300]}; expected a Python file whose get_config() edits and returns "
        "fer_jax.config.default_config()"
    )


def _check_keys(overrides: Sequence[str]) -> None:
    for argument in overrides:
        name = argument.partition("=")[0]
        if name.startswith("--config."):
            key = name.removeprefix("--config.")
            if not key_exists(key):
                raise ConfigError(unknown_key_message(key))


def _one_line(problem: object) -> str:
    return " ".join(str(problem).split())
