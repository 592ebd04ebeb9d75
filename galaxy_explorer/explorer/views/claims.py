"""The Claims page: what the report claimed, tested on the same galaxies, with the verdict."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import panel as pn
import param

from galaxy_explorer.bundle_evaluation import CLAIMS, VERDICTS, Evaluation
from galaxy_explorer.bundle_files import verified_bytes
from galaxy_explorer.explorer.claim_cards import SIGNS, cards, verdict_counts
from galaxy_explorer.explorer.cluster_words import STYLES, choice
from galaxy_explorer.explorer.downloads import Downloads, Made
from galaxy_explorer.explorer.evaluation_words import NOT_EVALUATED
from galaxy_explorer.explorer.text import plain

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle
    from galaxy_explorer.explorer.stamps import StampStore
    from galaxy_explorer.explorer.state import ExplorerState

PAGE_HEIGHT = "calc(100vh - 84px)"
EVERY = "all"
INTRODUCTION = (
    "The report that this project starts from (Cheng et al. 2019) made claims that it had not the"
    " means to test. Each is tested here on the same galaxies, by a rule that was fixed before the"
    " figures were known. Bars are 95 % intervals."
)
_FOLDER = Path(__file__).parent.parent / "js"
CARD_STYLES = [(_FOLDER / n).read_text(encoding="utf-8") for n in ("claims.css", "intervals.css")]


class Claims(pn.viewable.Viewer):
    """Cards of the claims, all of them or those with one verdict."""

    verdict: Any = param.Selector(default=EVERY, objects=[EVERY, *VERDICTS], doc="What is shown.")

    def __init__(self, state: ExplorerState, _stamps: StampStore, **params: Any) -> None:
        super().__init__(**params)
        self.state = state
        self.cards = pn.pane.HTML(
            "", stylesheets=CARD_STYLES, sizing_mode="stretch_width", margin=(8, 0)
        )
        self.downloads = Downloads("Download as", ["md"], self._prepare_file)
        self.downloads.buttons.visible = CLAIMS in state.bundle.manifest["files"]
        self.param.watch(self._show, "verdict")
        self._show()
        self.view = self._layout()

    def __panel__(self) -> pn.Column:
        return self.view

    @property
    def _evaluation(self) -> Evaluation | None:
        evaluation: Evaluation | None = self.state.bundle.evaluation
        return evaluation

    def _show(self, *_: param.parameterized.Event) -> None:
        if self._evaluation is None:
            path = plain(self.state.bundle.path)
            self.cards.object = f"<p>{NOT_EVALUATED.format(path=path)}</p>"
            return
        shown = [c for c in self._evaluation.claims if self.verdict in (EVERY, c.verdict)]
        self.cards.object = cards(shown) if shown else "<p>No claim has this verdict.</p>"

    def _prepare_file(self, _kind: str) -> Callable[[], Made]:
        return partial(_claims_file, self.state.bundle)

    def _layout(self) -> pn.Column:
        column = {"height": PAGE_HEIGHT, "overflow": "hidden auto"}
        if self._evaluation is None:
            return pn.Column(self.cards, sizing_mode="stretch_width", margin=8, styles=column)
        counts = verdict_counts(self._evaluation.claims)
        options = {f"All {sum(counts.values())}": EVERY} | {
            f"{SIGNS[verdict]} {count} {verdict}": verdict for verdict, count in counts.items()
        }
        head = pn.pane.HTML(
            f"<h2>The report's claims, judged</h2><p>{INTRODUCTION}</p>",
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
    return "claims", verified_bytes(bundle.path / CLAIMS, bundle.manifest["files"][CLAIMS])
