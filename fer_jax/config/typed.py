"""Frozen dataclasses as typed configurations: from and to a `ConfigDict`, with every value checked.

This module knows no key by name; `fer_jax.config.schema` does.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from fer_jax.errors import ConfigError

if TYPE_CHECKING:
    from ml_collections import config_dict


def to_config_dict(section: Any) -> config_dict.ConfigDict:
    """Returns a dataclass, and those inside it, as a `ConfigDict` that keeps the types of its values."""
    from ml_collections import config_dict  # slow to load, and only training needs it

    out = config_dict.ConfigDict()
    hints = typing.get_type_hints(type(section))
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            out[field.name] = to_config_dict(value)
        elif value is None:
            out[field.name] = config_dict.placeholder(_scalar_type(hints[field.name]))
        else:
            out[field.name] = value
    return out


def _scalar_type(hint: Any) -> type:
    return next(arg for arg in typing.get_args(hint) if arg is not type(None))


def build(
    cls: type, values: Mapping[str, Any], *, unknown: Callable[[str], str], prefix: str = ""
) -> Any:
    """Returns the dataclass `cls` made of nested plain values.

    Args:
        cls: its fields' types are what values are checked against.
        values: by field name.
        unknown: maps a dotted key that does not exist to its error message.
        prefix: of the dotted keys, empty or ending in ".".

    Raises:
        ConfigError: a key that does not exist, or a value of another type than its field's.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    for key in values:
        if key not in fields:
            raise ConfigError(unknown(prefix + key))
    given = {}
    for key, value in values.items():
        hint = hints[key]
        if dataclasses.is_dataclass(hint):
            inner = typing.cast(type, hint)
            given[key] = build(inner, value, unknown=unknown, prefix=f"{prefix}{key}.")
        else:
            given[key] = _checked(value, hint, key=prefix + key)
    return cls(**given)


def _checked(value: Any, hint: Any, *, key: str) -> Any:
    options = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        if value not in options:
            raise ConfigError(f"config.{key}={value!r}: expected one of {', '.join(options)}")
        return value
    if type(None) in options:
        if value is None:
            return None
        hint = _scalar_type(hint)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ConfigError(
            f"config.{key}={value!r}: expected {hint.__name__}, got {type(value).__name__}"
        )
    return value


def all_keys(cls: type, *, prefix: str = "") -> list[str]:
    """Returns the dotted keys of all values a dataclass holds, also in those inside it."""
    keys = []
    for name, hint in typing.get_type_hints(cls).items():
        if dataclasses.is_dataclass(hint):
            keys += all_keys(typing.cast(type, hint), prefix=f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def require_range(
    section: Any,
    *,
    prefix: str = "",
    at_least_one: Sequence[str] = (),
    not_negative: Sequence[str] = (),
    positive: Sequence[str] = (),
    shares: Sequence[str] = (),
) -> None:
    """Raises ConfigError if a named field of a dataclass is out of the range it is listed under.

    A field that is None passes; shares are 0 or more and less than 1.
    """
    rules = (
        (at_least_one, lambda v: v >= 1, "1 or more"),
        (not_negative, lambda v: v >= 0, "0 or more"),
        (positive, lambda v: v > 0, "more than 0"),
        (shares, lambda v: 0 <= v < 1, "0 or more and less than 1"),
    )
    for keys, holds, expected in rules:
        for key in keys:
            value = getattr(section, key)
            if value is not None and not holds(value):
                raise ConfigError(f"config.{prefix}{key}={value}: expected {expected}")
