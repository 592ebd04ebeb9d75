"""The words the pages use for keys of the bundle and columns of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

FEATURE_WORDS = {
    "codes": "by code vectors",
    "index": "by index map",
    "latents": "by latents",
    "rings": "by rings of code vectors",
}
DESIGN_WORDS = {"conv": "ConvAE without dense layers", "dense": "ConvAE with dense layers"}
COLUMN_WORDS = {
    "cluster": "Cluster",
    "cluster_ttype": "Mean Hubble type of the cluster",
    "ttype": "Hubble type T",
    "ttype_class": "T class",
    "source": "Source",
    "split": "Split",
    "ra": "Right ascension",
    "dec": "Declination",
}
COLUMN_UNITS = {"ra": "deg", "dec": "deg", "ttype": "T"}
UNIT_SUFFIXES = {
    "arcsec": "arcsec",
    "arcmin": "arcmin",
    "deg": "deg",
    "mag": "mag",
    "kpc": "kpc",
    "mpc": "Mpc",
    "pix": "pixel",
}


def model_words(model: str, config: Mapping[str, Any]) -> str:
    """A model in words: "512 codes, modern, 8×8 map". The key itself if the config is unusual."""
    if config.get("design") in DESIGN_WORDS:
        return DESIGN_WORDS[config["design"]]
    if {"num_embeddings", "bottom_size"} <= config.keys():
        fine, coarse = config["bottom_size"], config["bottom_size"] // 2
        maps = f"maps of {coarse}×{coarse} and {fine}×{fine}"
        return f"{config['num_embeddings']} codes, hierarchical, {maps}"
    if not {"num_embeddings", "quantizer", "map_size"} <= config.keys():
        return model
    size = config["map_size"]
    return f"{config['num_embeddings']} codes, {config['quantizer']}, {size}×{size} map"


def clustering_words(model: str, config: Mapping[str, Any], features: str) -> str:
    """A clustering in words: "512 codes, modern, by code vectors"."""
    parts = model_words(model, config).rsplit(", ", 1)[0]
    return f"{parts}, {FEATURE_WORDS.get(features, features)}"


def column_words(column: str) -> str:
    """A catalogue column in words, without its unit."""
    if column in COLUMN_WORDS:
        return COLUMN_WORDS[column]
    stem = column
    if column_unit(column):
        stem = re.sub(r"_[a-z]+$", "", column)
    return stem.replace("_", " ").strip().capitalize() or column


def column_unit(column: str) -> str:
    """The unit of a catalogue column, from its name; empty if it has none."""
    if column in COLUMN_UNITS:
        return COLUMN_UNITS[column]
    return UNIT_SUFFIXES.get(column.rsplit("_", 1)[-1].lower(), "") if "_" in column else ""
