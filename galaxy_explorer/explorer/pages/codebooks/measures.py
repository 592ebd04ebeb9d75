"""What was measured of each codebook: what is lost, what is used, what its groups follow.

From the evaluation, over several trainings where there were several, else from the manifest.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from galaxy_explorer.bundle.codebooks import WAYS, Codebook, codebooks, main_side

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle, Clustering
    from galaxy_explorer.bundle.evaluation import ClaimFigure, EvaluationRow

SHIPPED = "as shipped"
"""How the evaluation marks the clusterings of a bundle, in the name of what clustered."""


@dataclass(frozen=True)
class Figure:
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

    def overlaps(self, other: Figure) -> bool:
        """Whether the intervals have something in common; so they do where one is not known."""
        if None in (self.low, self.high, other.low, other.high):
            return True
        return bool(self.low <= other.high and other.low <= self.high)  # type: ignore[operator]


@cache
def _rows(bundle: Bundle) -> dict[tuple[str, str], EvaluationRow]:
    """Rows of the evaluation that are about a model alone, by model and figure."""
    rows = () if bundle.evaluation is None else bundle.evaluation.rows
    return {(row.model, row.figure): row for row in rows if not row.clusterer}


def _measured(bundle: Bundle, book: Codebook, figure: str) -> Figure | None:
    row = _rows(bundle).get((book.name, figure))
    if row is None:
        return None
    return Figure(row.value, row.low, row.high, trainings=row.seed_count)


def lost(bundle: Bundle, book: Codebook) -> Figure:
    """Share of the light's pattern that the pictures miss: the NMSE."""
    if found := _measured(bundle, book, "NMSE"):
        return found
    metrics = bundle.models[book.name].metrics if book.ships else {}
    return Figure(metrics.get("nmse"), metrics.get("nmse_low"), metrics.get("nmse_high"))


def used(bundle: Bundle, book: Codebook) -> Figure:
    """Perplexity over the number of codes; an interval of trainings may end above 1."""
    if found := _measured(bundle, book, "perplexity / K"):
        return found
    perplexity = bundle.models[book.name].metrics.get("perplexity") if book.ships else None
    return Figure(None if perplexity is None else perplexity / book.codes)


def occurring(bundle: Bundle, book: Codebook) -> int | None:
    """How many codes occur at all in galaxies kept back from training."""
    share = bundle.models[book.name].metrics.get("used_share") if book.ships else None
    return None if share is None else round(share * book.codes)


def followed(bundle: Bundle, key: str) -> Figure:
    """Share of the variance of T that lies between the groups of a clustering: eta squared."""
    clustering = bundle.clusterings.get(key)
    score = None if clustering is None else clustering.agreement.get("eta2")
    return Figure() if score is None else Figure(score.value, score.low, score.high, score.chance)


def grouped_by(bundle: Bundle, books: list[Codebook]) -> str:
    """The features by which most of some codebooks are clustered; "" where none is."""
    names = {book.name for book in books}
    kinds = Counter(
        one.features
        for one in bundle.clusterings.values()
        if one.model in names and one.steering is None
    )
    return max(kinds, key=lambda kind: (kinds[kind], kind == "codes"), default="")


def grouping(bundle: Bundle, book: Codebook | None, features: str) -> Clustering | None:
    """The clustering of a codebook by some features, if the bundle has it."""
    return None if book is None else bundle.clusterings.get(f"{book.name}/{features}")


def front_features(bundle: Bundle) -> str:
    """The features by which the codebooks with maps of the main side are clustered."""
    side = main_side(bundle)
    return grouped_by(bundle, [book for book in codebooks(bundle) if book.side == side])


def shared_features(bundle: Bundle, first: Codebook, second: Codebook) -> str:
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
