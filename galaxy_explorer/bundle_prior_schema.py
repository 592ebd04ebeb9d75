"""What a manifest must say of its priors: of code maps, and of latents."""

from __future__ import annotations

from typing import Any

from galaxy_explorer.bundle_fields import (
    ManifestError,
    check_training,
    integer_in,
    known_in,
    number_in,
    object_in,
    text_in,
)

CODE_PRIOR, HIERARCHICAL, FLOW = "pixelcnn", "hierarchical", "flow"
COMMON = {"n_fields": (0, 64), "condition_dim": (1, 4096), "octaves": (0, 32)}
MAPS = {
    "height": (1, 1024),
    "width": (1, 1024),
    "num_embeddings": (2, 65536),
    "layers": (1, 256),
    "features": (1, 4096),
    "first_kernel": (3, 31),
    "kernel": (1, 31),
    **COMMON,
}
# Kind of prior: its sizes with their limits.
PRIOR_SIZES: dict[str, dict[str, tuple[int, int]]] = {
    CODE_PRIOR: MAPS,
    HIERARCHICAL: MAPS,
    FLOW: {
        "latents": (2, 256),
        "transforms": (1, 64),
        "hidden": (1, 4096),
        "bins": (2, 64),
        "bound": (1, 100),
        **COMMON,
    },
}
FIELD_TEXTS = {"name", "label", "unit", "column", "over"}
FIELD_NUMBERS = {"low", "high", "default", "mean", "spread"}


def kind_of(entry: dict[str, Any]) -> str:
    """The kind of a prior; older bundles, which name none, have priors of code maps alone."""
    return str(entry.get("kind", CODE_PRIOR))


def check_priors(manifest: dict[str, Any], models: dict[str, Any], files: dict[str, Any]) -> None:
    """Priors by the model whose code maps or latents they draw; there may be none."""
    priors = manifest.get("priors", {})
    if not isinstance(priors, dict):
        raise ManifestError("priors", "an object is expected")
    for name, entry in priors.items():
        where = f"priors.{name}."
        if name not in models or not isinstance(entry, dict):
            raise ManifestError(f"priors.{name}", "is not the prior of a model of this bundle")
        known_in({"kind": entry.get("kind", CODE_PRIOR)}, "kind", PRIOR_SIZES, where)
        config = object_in(entry, "config", where)
        for field, limits in PRIOR_SIZES[kind_of(entry)].items():
            integer_in(config, field, f"{where}config.", *limits)
        _check_drawn(kind_of(entry), config, models[name], where)
        known_in(entry, "file", files, where)
        _check_fields(entry, where, config["n_fields"])
        number_in(entry, "default_guidance", where, 1, 5)
        check_training(entry, where, score="nll")


def _check_drawn(kind: str, config: dict[str, Any], model: dict[str, Any], where: str) -> None:
    """The prior draws what its model encodes galaxies to."""
    if kind == FLOW:
        if "latents" not in model:
            raise ManifestError(f"{where}kind", "a flow is of a model with latents")
        return
    coded = model["config"]
    side = coded.get("bottom_size" if kind == HIERARCHICAL else "map_size")
    shape = tuple(config[field] for field in ("height", "width", "num_embeddings"))
    if shape != (side, side, coded.get("num_embeddings")):
        name = where.removeprefix("priors.").rstrip(".")
        raise ManifestError(f"{where}config", f"{shape} are not the codes of {name}")


def _check_fields(entry: dict[str, Any], where: str, count: int) -> None:
    fields = entry.get("fields")
    if not isinstance(fields, list) or len(fields) != count:
        raise ManifestError(f"{where}fields", f"{count} are expected")
    for number, values in enumerate(fields):
        place = f"{where}fields[{number}]."
        if not isinstance(values, dict) or values.keys() - FIELD_TEXTS - FIELD_NUMBERS - {"log"}:
            raise ManifestError(place[:-1], "is not a field")
        for text in ("name", "label", "column"):
            text_in(values, text, place)
        if any(not isinstance(values.get(text), str) for text in ("unit", "over")):
            raise ManifestError(place[:-1], "unit and over are texts")
        for figure in sorted(FIELD_NUMBERS):
            number_in(values, figure, place, -1e9, 1e9)
        sound = values["low"] <= values["default"] <= values["high"] and values["spread"] > 0
        if (
            not sound
            or type(values.get("log")) is not bool
            or (values["log"] and values["low"] <= 0)
        ):
            raise ManifestError(place[:-1], "low, default, high or spread contradict each other")
