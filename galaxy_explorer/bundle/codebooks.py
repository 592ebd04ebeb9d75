"""The codebooks of a bundle by their number of codes: those that ship, and those only measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from galaxy_explorer.models.registry import AUTOENCODERS

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle

WAYS = {"modern": "averages", "paper": "gradients"}
"""How a codebook is learnt, by its quantizer."""
FIELDS = {"num_embeddings", "quantizer", "map_size"}


@dataclass(frozen=True)
class SizedCodebook:
    """One codebook: its model's name, number of codes, way of learning, codes along a map's side.

    ships: whether the bundle holds the model, so that it can draw; else its figures are known.
    """

    name: str
    codes: int
    way: str
    side: int
    ships: bool


@cache
def codebooks(bundle: Bundle) -> tuple[SizedCodebook, ...]:
    """The codebooks that were trained alike but for codes, way and map; those with fewest first."""
    kinds: dict[str, tuple[str, Mapping[str, Any]]] = {
        one.name: (one.kind, one.config) for one in bundle.manifest.extra_trainings
    }
    kinds |= {name: (model.kind, model.config) for name, model in bundle.models.items()}
    found = [
        SizedCodebook(
            name, config["num_embeddings"], WAYS.get(config["quantizer"], config["quantizer"]),
            config["map_size"], name in bundle.models,
        )
        for name, (kind, config) in kinds.items()
        if AUTOENCODERS[kind].has_compared_codes and config.keys() >= FIELDS
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda book: (book.codes, book.side, book.way)))


@cache
def map_sides(bundle: Bundle) -> tuple[int, ...]:
    """The side of most code maps that ship, and the next larger one if any; empty without maps."""
    ships = Counter(book.side for book in codebooks(bundle) if book.ships)
    if not ships:
        return ()
    main = max(ships, key=lambda side: (ships[side], -side))
    return (main, *sorted(side for side in ships if side > main)[:1])


def main_side(bundle: Bundle) -> int:
    """The first of them; 0 where there is none."""
    return next(iter(map_sides(bundle)), 0)


def sizes(bundle: Bundle) -> list[int]:
    """The numbers of codes that there are with maps of the main side, fewest first."""
    side = main_side(bundle)
    return sorted({book.codes for book in codebooks(bundle) if book.side == side})


def ways(bundle: Bundle) -> list[str]:
    """How the codebooks with maps of the main side that ship were learnt; that of most first."""
    side = main_side(bundle)
    found = Counter(b.way for b in codebooks(bundle) if b.ships and b.side == side)
    return [way for way, _ in found.most_common()]


def find_codebook(bundle: Bundle, codes: int, way: str, side: int) -> SizedCodebook | None:
    """The codebook of that size, way and side, if there is one."""
    wanted = codes, way, side
    return next((b for b in codebooks(bundle) if (b.codes, b.way, b.side) == wanted), None)
