"""Which models the Codebooks page starts with, and which galaxies a visitor names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from galaxy_explorer.explorer.words import model_words

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle

N_MODELS = 4
SEPARATORS = re.compile(r"[,;\n]+")


def report_models(bundle: Bundle) -> list[str]:
    """The four models of the report's Fig. 16, as far as the bundle has them; at least one.

    VQ-VAEs of 512 and 16 codes with a map of 8 x 8, as the report trained them where there are
    such, and the autoencoders without a codebook; else the first models of the bundle.
    """
    configs = {name: model.config for name, model in bundle.models.items()}
    found = [_coded(configs, 512), _coded(configs, 16)]
    found += [_design(configs, design) for design in ("conv", "dense")]
    chosen = [name for name in found if name is not None]
    return chosen if len(chosen) > 1 else list(configs)[:N_MODELS]


def _coded(configs: Mapping[str, Mapping[str, Any]], codes: int) -> str | None:
    fits = [
        name
        for name, config in configs.items()
        if config.get("num_embeddings") == codes and config.get("map_size") == 8
    ]
    by_paper = [name for name in fits if configs[name].get("quantizer") == "paper"]
    return next(iter([*by_paper, *fits]), None)


def _design(configs: Mapping[str, Mapping[str, Any]], design: str) -> str | None:
    return next((name for name, config in configs.items() if config.get("design") == design), None)


def model_choices(bundle: Bundle) -> dict[str, str]:
    """Words of every model and its name."""
    return {model_words(name, model.config): name for name, model in bundle.models.items()}


def named_galaxies(bundle: Bundle, text: str) -> tuple[list[int], list[str]]:
    """Rows of the galaxies named in a text, in its order, and the names that nothing has.

    Names are separated by commas; upper case and blanks make no difference.
    """
    asked = [part.strip() for part in SEPARATORS.split(text) if part.strip()]
    rows: dict[str, int] = {}
    for column in ("name", "galaxy_id"):
        if column in bundle.column_names and asked:
            rows |= {_plain_name(v): i for i, v in enumerate(bundle.column(column).tolist())}
    found = [rows.get(_plain_name(name)) for name in asked]
    known = list(dict.fromkeys(row for row in found if row is not None))
    return known, [name for name, row in zip(asked, found, strict=True) if row is None]


def _plain_name(name: object) -> str:
    return re.sub(r"\s+", "", str(name)).casefold()
