"""README's table that compares this package with others; cells without a measurement say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from markdown_tables import byte_size, percent, table

_UNKNOWN = "not measured"
_HEAD = (
    "",
    "agrees with people",
    "recall of people's labels",
    "one face, one core",
    "installation",
    "live view",
    "a text named `.jpg`",
    "a truncated photograph",
)
_FILES = ("text.jpg", "cut.jpg")
_OUTCOMES = {"reported": "reported", "raised": "exception", "answered": "accepted"}


class _Package(NamedTuple):
    title: str
    requirement: str  # as install_size.py was given it
    live_view: str  # that it includes, by its documentation


_PACKAGES = {
    "fer_jax": _Package("**`fer_jax`**", ".", "cameras, in the browser"),
    "fer": _Package("`fer` 25.10.3", "fer==25.10.3", "no"),
    "deepface": _Package("`deepface` 0.0.103", "deepface==0.0.103", "a camera, in a window"),
    "py-feat": _Package("`py-feat` 2.1.5", "py-feat==2.1.5", "no"),
}


class Measured(NamedTuple):
    """The contents of the reports, by package.

    Attributes:
        agreement: "accuracy", perhaps "accuracy_interval", and "uar" against people's majority.
        face_ms: milliseconds that the network takes for one face on one core.
        sizes: "megabytes" and "seconds" of install_size.py, by requirement; seconds are None where the
            machine had other work.
        files: what unreadable_files.py found.
    """

    agreement: Mapping[str, Any]
    face_ms: Mapping[str, float]
    sizes: Mapping[str, Any]
    files: Mapping[str, Any]


def comparison(measured: Measured) -> str:
    """Returns the table, one row for each package."""
    return table(_HEAD, [_row(name, measured) for name in _PACKAGES], left=(0, 5, 6, 7))


def _row(name: str, measured: Measured) -> list[str]:
    package, cells = _PACKAGES[name], [_UNKNOWN] * 4
    if name in measured.agreement:
        against = measured.agreement[name]
        cells[0] = percent(against["accuracy"], against.get("accuracy_interval"))
        cells[1] = percent(against["uar"])
    if name in measured.face_ms:
        cells[2] = f"{measured.face_ms[name]:.1f} ms"
    if package.requirement in measured.sizes:
        size = measured.sizes[package.requirement]
        cells[3] = byte_size(size["megabytes"])
        if size["seconds"] is not None:
            cells[3] += f" in {size['seconds']:.0f} s"
    files = measured.files.get(name, {}).get("files", {})
    outcomes = [_OUTCOMES[files[each]["outcome"]] if files else _UNKNOWN for each in _FILES]
    return [package.title, *cells, package.live_view, *outcomes]
