"""What was measured of each codebook, and the five questions of the page, answered in sentences.

Figures come from the evaluation, over several trainings where there were several, else from the
manifest.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from galaxy_explorer.bundle.codebooks import (
    WAYS,
    SizedCodebook,
    codebooks,
    find_codebook,
    main_side,
    map_sides,
    sizes,
)

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle, Clustering
    from galaxy_explorer.bundle.evaluation import ClaimFigure, EvaluationRow
    from galaxy_explorer.explorer.pages.codebooks.changes import Flow

SHIPPED = "as shipped"
"""How the evaluation marks the clusterings of a bundle, in the name of what clustered."""


@dataclass(frozen=True)
class Share:
    """A share with its 95 % interval, its chance level, and over how many trainings it is a mean.

    None: not measured.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    trainings: int = 1

    @property
    def beyond_chance(self) -> bool | None:
        """Whether the interval lies above chance; None where that is not known."""
        if self.low is None or self.chance is None:
            return None
        return self.low > self.chance

    def overlaps(self, other: Share) -> bool:
        """Whether the intervals have something in common; so they do where one is not known."""
        if None in (self.low, self.high, other.low, other.high):
            return True
        return bool(self.low <= other.high and other.low <= self.high)  # type: ignore[operator]


@cache
def _rows(bundle: Bundle) -> dict[tuple[str, str], EvaluationRow]:
    """Rows of the evaluation that are about a model alone, by model and figure."""
    rows = () if bundle.evaluation is None else bundle.evaluation.rows
    return {(row.model, row.figure): row for row in rows if not row.clusterer}


def _measured(bundle: Bundle, book: SizedCodebook, figure: str) -> Share | None:
    row = _rows(bundle).get((book.name, figure))
    if row is None:
        return None
    return Share(row.value, row.low, row.high, trainings=row.seed_count)


def lost(bundle: Bundle, book: SizedCodebook) -> Share:
    """Share of the light's pattern that the pictures miss: the NMSE."""
    if found := _measured(bundle, book, "NMSE"):
        return found
    metrics = bundle.models[book.name].metrics if book.ships else {}
    return Share(metrics.get("nmse"), metrics.get("nmse_low"), metrics.get("nmse_high"))


def used(bundle: Bundle, book: SizedCodebook) -> Share:
    """Perplexity over the number of codes; an interval of trainings may end above 1."""
    if found := _measured(bundle, book, "perplexity / K"):
        return found
    perplexity = bundle.models[book.name].metrics.get("perplexity") if book.ships else None
    return Share(None if perplexity is None else perplexity / book.codes)


def occurring(bundle: Bundle, book: SizedCodebook) -> int | None:
    """How many codes occur at all in galaxies kept back from training."""
    share = bundle.models[book.name].metrics.get("used_share") if book.ships else None
    return None if share is None else round(share * book.codes)


def followed(bundle: Bundle, key: str) -> Share:
    """Share of the variance of T that lies between the groups of a clustering: eta squared."""
    clustering = bundle.clusterings.get(key)
    score = None if clustering is None else clustering.agreement.get("eta2")
    return Share() if score is None else Share(score.value, score.low, score.high, score.chance)


def grouped_by(bundle: Bundle, books: list[SizedCodebook]) -> str:
    """The features by which most of some codebooks are clustered; "" where none is."""
    names = {book.name for book in books}
    kinds = Counter(
        one.features
        for one in bundle.clusterings.values()
        if one.model in names and one.steering is None
    )
    return max(kinds, key=lambda kind: (kinds[kind], kind == "codes"), default="")


def grouping(bundle: Bundle, book: SizedCodebook | None, features: str) -> Clustering | None:
    """The clustering of a codebook by some features, if the bundle has it."""
    return None if book is None else bundle.clusterings.get(f"{book.name}/{features}")


def front_features(bundle: Bundle) -> str:
    """The features by which the codebooks with maps of the main side are clustered."""
    side = main_side(bundle)
    return grouped_by(bundle, [book for book in codebooks(bundle) if book.side == side])


def shared_features(bundle: Bundle, first: SizedCodebook, second: SizedCodebook) -> str:
    """Features by which both codebooks are clustered; "" where there are none."""
    kinds = [
        {one.features for one in bundle.clusterings.values() if one.model == book.name}
        for book in (first, second)
    ]
    return min(kinds[0] & kinds[1], default="")


def slope(bundle: Bundle, claim: str, way: str) -> ClaimFigure | None:
    """The trend with the number of codes that a claim of the evaluation rests on, for one way."""
    claims = () if bundle.evaluation is None else bundle.evaluation.claims
    quantizer = next((name for name, own in WAYS.items() if own == way), way)
    figures = (figure for one in claims if one.id == claim for figure in one.figures)
    return next((figure for figure in figures if figure.name.endswith(f", {quantizer}")), None)


def steadiness(bundle: Bundle, key: str) -> float | None:
    """Bootstrap ARI of a clustering of the bundle: its groups found anew in resampled galaxies."""
    clustering = bundle.clusterings[key]
    rows = () if bundle.evaluation is None else bundle.evaluation.rows
    return next(
        (
            row.value
            for row in rows
            if row.figure == "bootstrap ARI" and row.clusterer.endswith(SHIPPED)
            and (row.model, row.features) == (clustering.model, clustering.features)
        ),
        None,
    )  # fmt: skip


WAY_WORDS = {"averages": "by averages", "gradients": "by gradients (as in the report)"}
PICTURE_CLAIM, GROUP_CLAIM = "reconstruction-k", "separation-k-codes"
UNTOLD = "cannot be told"
NOT_EVALUATED = (
    "This bundle has not been evaluated: whether a difference is more than chance cannot be told."
)


def percent(share: float | None) -> str:
    """A share in per cent: "2.8 %", "46 %"; a dash for none."""
    if share is None:
        return "–"
    return f"{100 * share:.{0 if abs(share) >= 0.0995 else 1}f} %".replace("-", "−")


def interval(figure: Share | ClaimFigure) -> str:
    """An interval in brackets, "(2.5 to 3.2 %)", after a blank; empty where there is none."""
    if figure.low is None or figure.high is None:
        return ""
    return f" ({percent(figure.low).removesuffix(' %')} to {percent(min(1.0, figure.high))})"


def lost_answer(bundle: Bundle, book: SizedCodebook, least: SizedCodebook | None) -> str:
    """What more codes buy in the picture; least: what it is compared with."""
    now = lost(bundle, book)
    if now.value is None:
        return "Not measured."
    words = f"With {book.codes} codes {percent(now.value)} of the light's pattern is lost"
    words += interval(now)
    if least is None or least == book:
        return f"{words}."
    return f"{words}; with {least.codes} it is {percent(lost(bundle, least).value)}."


def followed_answer(bundle: Bundle, key: str) -> str:
    """How well the groups follow the Hubble type, and whether that is more than chance."""
    figure = followed(bundle, key)
    if figure.value is None:
        return "Its groups are not in this bundle."
    words = f"Groups tell {percent(figure.value)} of the spread in Hubble type{interval(figure)}"
    if figure.beyond_chance is None:
        return f"{words}."
    verdict = "more than chance" if figure.beyond_chance else f"whether by chance {UNTOLD}"
    return f"{words}; shuffled groups {percent(figure.chance)}: {verdict}."


def used_answer(bundle: Bundle, book: SizedCodebook) -> str:
    """How many codes are really used."""
    figure, occur = used(bundle, book), occurring(bundle, book)
    if figure.value is None:
        return "Not measured."
    alike, share = f"{figure.value * book.codes:.0f}", percent(figure.value)
    if occur is None:
        return f"It is as if {alike} of {book.codes} codes were used alike ({share})."
    return f"{occur} of {book.codes} codes occur; it is as if {alike} were used alike ({share})."


def trend(figure: ClaimFigure | None, less: str, more: str) -> str:
    """A slope a doubling of the codes in words; less, more: what a fall and a rise are called."""
    if figure is None or figure.value is None or figure.low is None or figure.high is None:
        return ""
    value, low, high = (
        f"{100 * part:+.2f}".replace("-", "−") for part in (figure.value, figure.low, figure.high)
    )
    words = (UNTOLD, f"{more}, more than chance", f"{less}, more than chance")[direction(figure)]
    return f"Each doubling of the codes: {value} points ({low} to {high}): {words}."


def direction(figure: ClaimFigure) -> int:
    """-1 or 1 where the interval of a slope lies on one side of zero, else 0."""
    low, high = figure.low, figure.high
    return 0 if low is None or high is None else int(low > 0) - int(high < 0)


def verdict(bundle: Bundle, way: str) -> str:
    """What more codes buy, in one sentence from the claims of the bundle."""
    found = [slope(bundle, claim, way) for claim in (PICTURE_CLAIM, GROUP_CLAIM)]
    if found[0] is None or found[1] is None:
        return NOT_EVALUATED
    drawn, grouped = map(direction, (found[0], found[1]))
    pictures = {
        -1: "More codes draw galaxies better, more than chance",
        0: f"Whether more codes draw galaxies better {UNTOLD}",
        1: "More codes draw galaxies worse, more than chance",
    }[drawn]
    groups = {
        -1: "their groups follow the Hubble type worse, more than chance",
        0: f"whether their groups follow the Hubble type better or worse {UNTOLD}",
        1: "their groups follow the Hubble type better, more than chance",
    }[grouped]
    if drawn == grouped == 0:
        groups = groups.removesuffix(f" {UNTOLD}")
        return f"{pictures}, nor {groups}."
    return f"{pictures}; {'and' if drawn * grouped < 0 else 'but'} {groups}."


def evidence(bundle: Bundle) -> str:
    """What the report said and what became of it, with the number of trainings."""
    claims = () if bundle.evaluation is None else bundle.evaluation.claims
    found = [c for c in claims if c.id in (PICTURE_CLAIM, GROUP_CLAIM)]
    if not found:
        return ""
    said = "; ".join(f"“{claim.words.split(' (')[0]}”: {claim.verdict}" for claim in found)
    return f"What the report said: {said} ({found[0].seeds} trainings of a size, both ways)."


def change_answer(flow: Flow, before: str, after: str) -> str:
    """How many galaxies change group."""
    return (
        f"From {before} to {after} {percent(flow.changed)} of the galaxies come into groups of"
        f" another mean T; {percent(flow.chance)} would by chance."
    )


def change_note(bundle: Bundle, flow: Flow, keys: tuple[str, str]) -> str:
    """Whether groups move as much with nothing changed but the galaxies they are found in."""
    rest = int(flow.table.sum()) - sum(count for *_, count in flow.links)
    drawn = "Groups are merged by the mean T of the members that have one, early ones on top."
    if rest:
        drawn += (
            f" {rest:,} galaxies in smaller flows than the {len(flow.links)} drawn are left out."
        )
    known = [value for key in keys if (value := steadiness(bundle, key)) is not None]
    if not known:
        return f"The groups agree to {flow.agreement:.2f} (adjusted Rand index). {drawn}"
    more = "more than" if flow.agreement < min(known) else "no more than"
    alone = " and ".join(f"{value:.2f}" for value in known)
    return (
        f"That is {more} they move when found anew in resampled galaxies: they agree to"
        f" {flow.agreement:.2f} here, to {alone} then (adjusted Rand index). {drawn}"
    )


def worth_answer(bundle: Bundle, way: str) -> tuple[str, str]:
    """Whether the larger map is worth it, and the number of codes at which both can be seen."""
    for codes in reversed(sizes(bundle)):
        found = [find_codebook(bundle, codes, way, side) for side in map_sides(bundle)]
        pair = [book for book in found if book is not None and book.ships]
        if len(pair) == 2:
            return _worth(bundle, *pair), str(codes)
    return "", ""


def _worth(bundle: Bundle, small: SizedCodebook, large: SizedCodebook) -> str:
    losses = lost(bundle, small), lost(bundle, large)
    words = (
        f"For pictures: {_better(losses[1], losses[0])}, {percent(losses[1].value)} of the light's"
        f" pattern is lost instead of {percent(losses[0].value)}, for {large.side**2} numbers a"
        f" galaxy instead of {small.side**2}."
    )
    features = shared_features(bundle, small, large)
    if not features:
        return f"{words} For types: not grouped."
    told = [followed(bundle, f"{book.name}/{features}") for book in (small, large)]
    return (
        f"{words} For types: {_better(told[0], told[1])}, groups tell"
        f" {percent(told[1].value)}{interval(told[1])} of the spread in Hubble type instead of"
        f" {percent(told[0].value)}{interval(told[0])}."
    )


def _better(less: Share, more: Share) -> str:
    """Whether one figure is below the other by more than both intervals, in a word."""
    if less.overlaps(more):
        return UNTOLD
    return "yes" if (less.value or 0) < (more.value or 0) else "no"
