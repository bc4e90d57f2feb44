"""Reads `--config FILE`, its `--config.key=value` overrides, and a command's other flags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags
from ml_collections import config_dict, config_flags

from fer_jax.config.schema import Config, from_config_dict, key_exists, unknown_key_message
from fer_jax.errors import ConfigError


def read_config(
    argv: Sequence[str], *, define: Callable[[flags.FlagValues], None], usage: str | None = None
) -> tuple[Config, str, flags.FlagValues]:
    """Reads `--config FILE`, its `--config.key=value` overrides, and further flags.

    Args:
        argv: arguments after the program's name.
        define: adds the command's own flags.
        usage: what `--help` prints above the flags.

    Returns:
        The checked configuration, the configuration file's path and all the flags.

    Raises:
        ConfigError: an unknown key, flag or file, or a value that cannot be used.
        SystemExit: `--help` was asked for.
    """
    _check_keys(argv)
    values = flags.FlagValues()
    line = ["fer_jax", *argv]
    config_flags.DEFINE_config_file(
        "config",
        None,
        "Configuration file; its keys are --config.KEY.",
        flag_values=values,
        sys_argv=line,
    )
    define(values)
    if {"-h", "--help"} & set(argv):
        print(usage or "", values.main_module_help() or values.get_help(), sep="\n")
        raise SystemExit(0)
    try:
        rest = values(line)[1:]
        if rest:
            raise ConfigError(f"{rest[0]!r} is not understood; expected --config FILE and flags")
        if not values["config"].present:
            raise ConfigError("no configuration was named; add --config configs/base.py")
        file = config_flags.get_config_filename(values["config"])
        if not Path(file.partition(":")[0]).is_file():
            raise ConfigError(_not_a_file(file))
        if not isinstance(values.config, config_dict.ConfigDict):
            raise ConfigError(_wants_get_config(file, "get_config() returned something else"))
        return from_config_dict(values.config.to_dict()), file, values
    except ConfigError:
        raise
    except (flags.Error, TypeError) as error:
        raise ConfigError(_one_line(error)) from error
    except Exception as error:  # the file is a person's own program: anything may go wrong in it
        file = _config_file(argv)
        if not Path(file).is_file():
            raise ConfigError(_not_a_file(file)) from error
        raise ConfigError(_wants_get_config(file, f"{type(error).__name__}: {error}")) from error


def _not_a_file(name: str) -> str:
    return f"--config {name}: no such file; name a configuration, such as configs/base.py"


def _wants_get_config(file: str, problem: str) -> str:
    return _one_line(
        f"{file}: {problem[:300]}; expected a Python file whose get_config() edits and returns "
        "fer_jax.config.default_config()"
    )


def _check_keys(argv: Sequence[str]) -> None:
    for argument in argv:
        name = argument.lstrip("-").partition("=")[0]
        if argument.startswith("-") and name.startswith("config."):
            key = name.removeprefix("config.")
            if not key_exists(key):
                raise ConfigError(unknown_key_message(key))


def _config_file(argv: Sequence[str]) -> str:
    """Returns the file that was named last."""
    found = ""
    for at, argument in enumerate(argv):
        name, equals, value = argument.lstrip("-").partition("=")
        if name == "config":
            found = value if equals else " ".join(argv[at + 1 : at + 2])
    return found


def _one_line(problem: object) -> str:
    return " ".join(str(problem).split())
