"""The words beside each sample: its nearest real galaxy, its likelihood, T as a judge reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from galaxy_explorer.explorer.captions import ttype_words

if TYPE_CHECKING:
    from galaxy_explorer.emulation.likeness import Facts, Likeness

DISTANCE_HINT = "Root mean square distance of the {space} from those of this real galaxy"
LIKELY_HINT = "Share of held-out real galaxies that the prior finds less likely than this sample"
JUDGED_HEADING = " Judged T: of the synthetic galaxy, by a network that has learnt from real ones."
JUDGED_HINT = (
    "T as an independent network reads it, which has learnt from real galaxies of the train split;"
    " read before any camera, with the median noise of real stamps, mean of eight orientations.{}"
)


def sample_cards(likeness: Likeness, facts: Facts) -> list[dict[str, Any]]:
    """Of each sample, its nearest real galaxy and lines of words with their hints."""
    ids, ttype = likeness.bundle.column("galaxy_id"), likeness.bundle.column("ttype")
    figures = zip(facts.rows.tolist(), facts.distances, facts.percentile, strict=True)
    cards: list[dict[str, Any]] = [
        {
            "row": row, "words": f"{ids[row]}, {ttype_words(ttype[row])}",
            "lines": [
                [str(ids[row]), ""], [f"{ttype_words(ttype[row])}", ""],
                [f"d {far:.2f}", DISTANCE_HINT.format(space=likeness.space)],
                [f"likelier than {share:.0f}\u00a0%", LIKELY_HINT],
            ],
        }
        for row, far, share in figures
    ]  # fmt: skip
    if facts.judged is not None:
        for card, judged in zip(cards, facts.judged, strict=True):
            card["lines"].append([f"judged T {judged_words(judged)}", judged_hint(likeness)])
    return cards


def judged_words(ttype: float) -> str:
    """A judged T to one decimal, as its error allows, with a true minus."""
    return f"{round(float(ttype), 1) + 0.0:.1f}".replace("-", "−")


def judged_hint(likeness: Likeness) -> str:
    """What a judged T is, and how far off it is for held-out real galaxies."""
    judge = likeness.bundle.judge
    known = "" if judge is None else f" In stages, of {judge.of(likeness.emulator.model)}."
    return JUDGED_HINT.format(known)
