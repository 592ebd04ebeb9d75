"""The codebooks of a bundle as the browser shows them: one step a way of learning and size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from galaxy_explorer.bundle.codebooks import (
    SizedCodebook,
    codebooks,
    find_codebook,
    main_side,
    map_sides,
    sizes,
    ways,
)
from galaxy_explorer.explorer.pages.codebooks import answers
from galaxy_explorer.explorer.pages.codebooks.answers import (
    Share,
    followed,
    front_features,
    lost,
    shared_features,
    slope,
    used,
)
from galaxy_explorer.explorer.pages.codebooks.changes import Flow, flow_between, flow_values

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle

LOST_RULE = (
    "The normalised mean squared error (NMSE): the part of the variance of the pixels that the"
    " picture drawn from codes misses, in galaxies kept back from training. Most of it is the noise"
    " of the sky. 0 is perfect."
)
FOLLOWED_RULE = (
    "η²: the share of the variance of T that lies between the groups rather than inside them, in"
    " galaxies kept back from training. Dotted: the same for shuffled groups."
)
USED_RULE = (
    "The perplexity over the number of codes: 100 % if all codes are used equally often, little if"
    " a few draw nearly everything."
)
DIALS = (
    ("lost", "What do more codes buy in the picture?", "light's pattern lost", LOST_RULE),
    ("followed", "Do groups follow the Hubble type?", "of the spread in T told", FOLLOWED_RULE),
    ("used", "How many codes are really used?", "of the codebook in use", USED_RULE),
)


@dataclass(frozen=True)
class Sides:
    """Two clusterings whose groups are compared: their keys, what they are of, and its unit."""

    keys: tuple[str, str]
    words: tuple[str, str]

    unit: str

    def title(self, side: int) -> str:
        """One side with its unit: "16 codes", "8×8 map"."""
        return f"{self.words[side]} {self.unit}"

    def flow(self, bundle: Bundle) -> Flow:
        """The flow from one to the other."""
        return flow_between(bundle, *self.keys)


def shipped(bundle: Bundle) -> list[str]:
    """The models of the steps that can draw."""
    return [one.name for one in codebooks(bundle) if one.ships and one.side in map_sides(bundle)]


def sides_of(bundle: Bundle, codes: str, way: str, code_map: str) -> Sides | None:
    """What flows where: from the fewest codes to these, or from the usual map to a larger one."""
    main, features = main_side(bundle), front_features(bundle)
    book = find_codebook(bundle, int(codes or 0), way, main)
    before, after = _least(bundle, way), book
    wide = code_map not in ("", str(main))
    if wide:
        before, after = book, find_codebook(bundle, int(codes), way, int(code_map))
    if before is None or after is None:
        return None
    if wide:
        features = shared_features(bundle, before, after)
        words, unit = [f"{one.side}×{one.side}" for one in (before, after)], "map"
    else:
        words, unit = [str(one.codes) for one in (before, after)], "codes"
    keys = [f"{one.name}/{features}" for one in (before, after)]
    if keys[0] == keys[1] or not set(keys) <= bundle.clusterings.keys():
        return None
    return Sides((keys[0], keys[1]), (words[0], words[1]), unit)


def step_values(bundle: Bundle) -> list[dict[str, Any]]:
    """Every step: what is drawn, figures, answers and flows, with and without the larger map."""
    return [_step(bundle, codes, way) for way in ways(bundle) for codes in sizes(bundle)]


def way_values(bundle: Bundle) -> list[dict[str, Any]]:
    """What is told of each way of learning, whatever the number of codes."""
    found = []
    for way in ways(bundle):
        worth, pair = answers.worth_answer(bundle, way)
        drawn, grouped = (
            slope(bundle, claim, way) for claim in (answers.PICTURE_CLAIM, answers.GROUP_CLAIM)
        )
        trends = [
            answers.trend(drawn, "less is lost", "more is lost"),
            answers.trend(grouped, "worse", "better"),
            "",
        ]
        found.append(
            {
                "way": way, "words": answers.WAY_WORDS.get(way, way),
                "verdict": answers.verdict(bundle, way), "trends": trends,
                "worth": worth, "pair": pair,
            }
        )  # fmt: skip
    return found


def dial_values(bundle: Bundle) -> list[dict[str, Any]]:
    """The dials and the ends of their axes, the same for all steps."""
    figures = [
        figures for book in codebooks(bundle) if book.side in map_sides(bundle)
        for figures in [_figures(bundle, book, front_features(bundle))]
    ]  # fmt: skip
    return [
        {
            "name": name, "question": question, "unit": unit, "explanation": rule,
            "end": 1.0 if name == "used" else _end([one[place] for one in figures]),
        }
        for place, (name, question, unit, rule) in enumerate(DIALS)
    ]  # fmt: skip


def _end(figures: list[Share]) -> float:
    values = [one.value if one.high is None else one.high for one in figures]
    return 1.05 * max((value for value in values if value is not None), default=1.0)


def _least(bundle: Bundle, way: str) -> SizedCodebook | None:
    """The smallest codebook of a way that ships."""
    books = (find_codebook(bundle, size, way, main_side(bundle)) for size in sizes(bundle))
    return next((book for book in books if book is not None and book.ships), None)


def _figures(bundle: Bundle, book: SizedCodebook, features: str) -> list[Share]:
    return [lost(bundle, book), followed(bundle, f"{book.name}/{features}"), used(bundle, book)]


def _dials(bundle: Bundle, book: SizedCodebook, features: str) -> list[dict[str, Any]]:
    least = _least(bundle, book.way) if book.side == main_side(bundle) else None
    sentences = [
        answers.lost_answer(bundle, book, least),
        answers.followed_answer(bundle, f"{book.name}/{features}"),
        answers.used_answer(bundle, book),
    ]
    return [
        {
            "value": figure.value, "low": figure.low, "high": figure.high,
            "chance": figure.chance, "text": answers.percent(figure.value), "answer": sentence,
        }
        for figure, sentence in zip(_figures(bundle, book, features), sentences, strict=True)
    ]  # fmt: skip


def _step(bundle: Bundle, codes: int, way: str) -> dict[str, Any]:
    views = []
    for side in map_sides(bundle):
        book = find_codebook(bundle, codes, way, side)
        sides = sides_of(bundle, str(codes), way, str(side))
        features = front_features(bundle)
        views.append(
            {
                "model": book.name if book is not None and book.ships else "",
                "dials": [] if book is None else _dials(bundle, book, features),
                **_flow(bundle, sides, codes, book),
            }
        )
    return {"way": way, "codes": str(codes), "views": views}


def _flow(
    bundle: Bundle, sides: Sides | None, codes: int, book: SizedCodebook | None
) -> dict[str, Any]:
    if sides is None:
        least = None if book is None else _least(bundle, book.way)
        words = "The groups of these codebooks are not in this bundle."
        if least is not None and least.codes == codes and book == least:
            words = f"Groups with {codes} codes are where it starts: move the slider to more codes."
        return {"flow": None, "change": words, "note": "", "movers": 0}
    flow = sides.flow(bundle)
    return {
        "flow": flow_values(flow, bundle, (sides.title(0), sides.title(1))),
        "change": answers.change_answer(flow, sides.words[0], sides.title(1)),
        "note": answers.change_note(bundle, flow, sides.keys),
        "movers": len(flow.movers),
    }
