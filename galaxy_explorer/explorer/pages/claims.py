"""The Claims page: what the report claimed, tested on the same galaxies, with the verdict.

Each claim is a card: the report's words, the test, the figures with their intervals, the verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import panel as pn
import param

from galaxy_explorer.bundle.evaluation import CLAIMS, VERDICTS, Claim, Evaluation
from galaxy_explorer.bundle.files import verified_bytes
from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES, choice
from galaxy_explorer.explorer.widgets.components import CARD_STYLES, HtmlPane, View
from galaxy_explorer.explorer.widgets.controls import PAGE_HEIGHT, Downloads, Made, keep_in_address
from galaxy_explorer.explorer.widgets.intervals import (
    Axis,
    common_axis,
    format_figure,
    format_interval,
    interval_html,
)
from galaxy_explorer.explorer.wording import figure_title, with_models_in_words

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState


SIGNS = {"holds": "✓", "partly": "◐", "does not hold": "✗", "cannot be told": "?"}
CLASSES = {
    "holds": "holds", "partly": "partly", "does not hold": "fails", "cannot be told": "untold",
}  # fmt: skip


def verdict_counts(claims: Sequence[Claim]) -> dict[str, int]:
    """How many claims have each verdict, in the order of VERDICTS; all of them are there."""
    found = Counter(claim.verdict for claim in claims)
    return {verdict: found[verdict] for verdict in VERDICTS}


def cards(claims: Sequence[Claim], words: Callable[[str], str] = figure_title) -> Html:
    """One card a claim, as HTML; words: for the names of its figures."""
    return render("claims.cards", claims=[card_values(claim, words) for claim in claims])


def card_values(claim: Claim, words: Callable[[str], str]) -> dict[str, Any]:
    """What a card shows; figures of the same unit share an axis."""
    axes: dict[str, Axis] = {
        unit: common_axis(
            part for f in claim.figures if f.unit == unit for part in (f.value, f.low, f.high)
        )
        for unit in {figure.unit for figure in claim.figures}
    }
    figures = [
        {
            "name": words(f.name), "unit": f.unit, "value": format_figure(f.value),
            "interval": format_interval(f.low, f.high), "n": f"{f.n:,}",
            "marks": interval_html(f.value, f.low, f.high, axis=axes[f.unit]),
        }
        for f in claim.figures
    ]  # fmt: skip
    return {
        "kind": CLASSES[claim.verdict], "sign": SIGNS[claim.verdict], "verdict": claim.verdict,
        "id": claim.id, "section": claim.section, "words": claim.words, "figures": figures,
        "explanation": claim.explanation, "test": words(claim.test), "rule": claim.rule,
        "seeds": _trainings(claim.seeds),
    }  # fmt: skip


def _trainings(fewest: int) -> str:
    """Of how many trainings the figures of a claim are, at least."""
    if fewest < 2:
        return "at least one training each" if fewest else "no training"
    return f"at least {fewest} trainings each"


EVERY = "all"
INTRODUCTION = (
    "The report that this project starts from (Cheng et al. 2019) made claims that it had not the"
    " means to test. Each is tested here on the same galaxies, by a rule that was fixed before the"
    " figures were known. Bars are 95 % intervals."
)


class ClaimsPage(View):
    """Cards of the claims, all of them or those with one verdict."""

    verdict: Any = param.Selector(default=EVERY, objects=[EVERY, *VERDICTS], doc="What is shown.")

    def __init__(self, state: ExplorerState, _context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state = state
        self.cards = HtmlPane(
            "", stylesheets=CARD_STYLES, sizing_mode="stretch_width", margin=(8, 0)
        )
        self.downloads = Downloads("Download as", ["md"], self.prepare_file)
        self.downloads.buttons.visible = CLAIMS in state.bundle.manifest.files
        self.param.watch(self._show, "verdict")
        keep_in_address(state, self, {"verdict": "verdict"})
        self._show()
        self.view = self._layout()

    @property
    def _evaluation(self) -> Evaluation | None:
        evaluation: Evaluation | None = self.state.bundle.evaluation
        return evaluation

    def _show(self, *_: param.parameterized.Event) -> None:
        if self._evaluation is None:
            self.cards.object = render("parts.not_evaluated", path=self.state.bundle.path)
            return
        shown = [c for c in self._evaluation.claims if self.verdict in (EVERY, c.verdict)]
        if not shown:
            self.cards.object = render("parts.paragraph", words="No claim has this verdict.")
            return
        bundle = self.state.bundle
        self.cards.object = cards(shown, lambda f: figure_title(with_models_in_words(bundle, f)))

    def prepare_file(self, _kind: str) -> Callable[[], Made]:
        """The file that is asked for; it is made in a thread."""
        return partial(_claims_file, self.state.bundle)

    def _layout(self) -> pn.Column:
        column = {"height": PAGE_HEIGHT, "overflow": "hidden auto"}
        if self._evaluation is None:
            return pn.Column(self.cards, sizing_mode="stretch_width", margin=8, styles=column)
        counts = verdict_counts(self._evaluation.claims)
        options = {f"All {sum(counts.values())}": EVERY} | {
            f"{SIGNS[verdict]} {count} {verdict}": verdict for verdict, count in counts.items()
        }
        head = HtmlPane(
            render("claims.introduction", words=INTRODUCTION),
            stylesheets=[STYLES], sizing_mode="stretch_width", margin=(0, 0, 6, 0),
        )  # fmt: skip
        bar = pn.Row(
            choice("Verdict", self.param.verdict, options), self.downloads.buttons,
            sizing_mode="stretch_width", margin=0,
            styles={"flex-wrap": "wrap", "gap": "6px 18px", "align-items": "center"},
        )  # fmt: skip
        return pn.Column(
            head, bar, self.cards, sizing_mode="stretch_width", margin=8, styles=column
        )


def _claims_file(bundle: Bundle) -> Made:
    """The bundle's own CLAIMS.md, as the evaluation wrote it, checked once more."""
    return "claims", verified_bytes(bundle.path / CLAIMS, bundle.manifest.files[CLAIMS])
