"""Fields of a manifest, each taken by name and type; who lacks one is told where."""

from __future__ import annotations

from typing import Any

from galaxy_explorer.bundle_files import MANIFEST
from galaxy_explorer.errors import BundleError

MAX_CURVE = 1000


class ManifestError(BundleError):
    """A field of the manifest is missing or out of range."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{MANIFEST}: {field}: {reason}")


def object_in(parent: dict[str, Any], field: str, where: str) -> dict[str, Any]:
    """An object."""
    value = parent.get(field)
    if not isinstance(value, dict):
        raise ManifestError(f"{where}{field}", "an object is expected")
    return value


def text_in(parent: dict[str, Any], field: str, where: str) -> str:
    """A text that is not empty."""
    value = parent.get(field)
    if not isinstance(value, str) or not value:
        raise ManifestError(f"{where}{field}", "text is expected")
    return value


def integer_in(parent: dict[str, Any], field: str, where: str, low: int, high: int) -> int:
    """A whole number within limits."""
    value = parent.get(field)
    if type(value) is not int or not low <= value <= high:
        raise ManifestError(f"{where}{field}", f"a whole number {low} to {high} is expected")
    return value


def known_in(parent: dict[str, Any], field: str, names: dict[str, Any], where: str = "") -> str:
    """One of the names."""
    value = parent.get(field)
    if not isinstance(value, str) or value not in names:
        raise ManifestError(f"{where}{field}", f"{value!r} is not one of {sorted(names)[:12]}")
    return value


def number_in(parent: dict[str, Any], field: str, where: str, low: float, high: float) -> None:
    """Check a number within limits."""
    value = parent.get(field)
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise ManifestError(f"{where}{field}", f"a number {low:g} to {high:g} is expected")


def check_numbers(values: dict[str, Any], where: str) -> None:
    """Check that all values are numbers."""
    for field, value in values.items():
        if type(value) not in (int, float):
            raise ManifestError(f"{where}.{field}", "a number is expected")


def check_training(entry: dict[str, Any], where: str, score: str = "nmse") -> None:
    """Steps, figures and curve of a training; `best_step` and `rule_step` may be absent."""
    integer_in(entry, "steps", where, 0, 1 << 40)
    check_numbers(object_in(entry, "metrics", where), f"{where}metrics")
    for field in ("best_step", "rule_step"):
        if entry.get(field) is not None:
            integer_in(entry, field, where, 0, 1 << 40)
    curve = entry.get("curve", [])
    if not isinstance(curve, list) or len(curve) > MAX_CURVE:
        raise ManifestError(f"{where}curve", f"a list of at most {MAX_CURVE} rows is expected")
    for row in curve:
        if not isinstance(row, dict) or not {"step", score} <= row.keys():
            raise ManifestError(f"{where}curve", f"rows with step and {score} are expected")
        check_numbers(row, f"{where}curve")
