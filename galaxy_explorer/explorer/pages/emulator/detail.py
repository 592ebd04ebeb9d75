"""One synthetic galaxy, large, beside its nearest real one: what both measure.

The words beside each sample: its nearest real galaxy, its likelihood, T as a judge reads it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
from numpy.typing import NDArray

from galaxy_explorer.emulation.likeness import Facts
from galaxy_explorer.explorer.background import LatestTask
from galaxy_explorer.explorer.escape import escape
from galaxy_explorer.explorer.pages.emulator.source import EmulatorSource, measured
from galaxy_explorer.explorer.pictures.display import DisplaySettings, encode, render
from galaxy_explorer.explorer.widgets.components import CARD_STYLES
from galaxy_explorer.explorer.widgets.intervals import format_figure, interval_html
from galaxy_explorer.explorer.wording import format_ttype

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
            "row": row, "words": f"{ids[row]}, {format_ttype(ttype[row])}",
            "lines": [
                [str(ids[row]), ""], [f"{format_ttype(ttype[row])}", ""],
                [f"d {far:.2f}", DISTANCE_HINT.format(space=likeness.space)],
                [f"likelier than {share:.0f}\u00a0%", LIKELY_HINT],
            ],
        }
        for row, far, share in figures
    ]  # fmt: skip
    if facts.judged is not None:
        for card, judged in zip(cards, facts.judged, strict=True):
            card["lines"].append([f"judged T {format_judged(judged)}", judged_hint(likeness)])
    return cards


def format_judged(ttype: float) -> str:
    """A judged T to one decimal, as its error allows, with a true minus."""
    return f"{round(float(ttype), 1) + 0.0:.1f}".replace("-", "−")


def judged_hint(likeness: Likeness) -> str:
    """What a judged T is, and how far off it is for held-out real galaxies."""
    judge = likeness.bundle.ttype_regressor
    known = "" if judge is None else f" In stages, of {judge.of(likeness.emulator.model)}."
    return JUDGED_HINT.format(known)


USUAL = (0.16, 0.84)
MEASURES = {
    "concentration": "Concentration C", "asymmetry": "Asymmetry A", "smoothness": "Smoothness S",
    "gini": "Gini", "m20": "M20", "sersic_n": "Sérsic index n", "r_half": "Half-light radius (px)",
    "ellipticity": "Ellipticity",
}  # fmt: skip
NOTE = "statmorph, on the pictures as the model draws them, without noise."
BAR_NOTE = (
    " Bar: two thirds of {n} held-out real galaxies, drawn from their codes and measured likewise."
)
STYLES = """
.pair { display: flex; flex-wrap: wrap; gap: 12px 20px; align-items: flex-start; }
.pair figure { margin: 0; width: 190px; position: relative; }
.pair img { display: block; width: 190px; height: 190px; border-radius: 4px; }
.pair figcaption { font-size: 11.5px; margin-top: 3px; }
.pair .mark {
  position: absolute; left: 5px; top: 168px; padding: 1px 5px; border-radius: 2px;
  font: 700 10px/14px Roboto, Helvetica, Arial, sans-serif; letter-spacing: 0.06em;
  color: #1a1200; background: #ffb000;
}
.pair .mark.real { color: #ffffff; background: rgb(16 27 45 / 82%); }
.pair .measures { flex: 1 1 300px; min-width: 0; }
.pair .marks { width: 34%; min-width: 80px; }
"""


@dataclass(frozen=True)
class Chosen:
    """A sample: how it is seen (T, T), its code map (h, w), facts of all, number, words."""

    stamp: NDArray[np.float32]
    codes: NDArray[np.integer]
    facts: Facts
    place: int
    words: str


class SampleDetail(pn.viewable.Viewer):
    """The card of the sample that was clicked; hidden while there is none."""

    def __init__(
        self, source: EmulatorSource, display: DisplaySettings, close: Callable[[], None]
    ) -> None:
        super().__init__()
        self.source, self.display = source, display
        self.chosen: Chosen | None = None
        self.card = pn.pane.HTML(
            "", stylesheets=[*CARD_STYLES, STYLES], margin=0, sizing_mode="stretch_width"
        )
        shut = pmui.IconButton(
            icon="close", size="small", margin=0, description="Close", on_click=lambda _: close()
        )
        self.view = pn.Row(
            self.card, shut, sizing_mode="stretch_width", visible=False, margin=(0, 0, 12, 0)
        )
        self.drawing = LatestTask(self._prepare, self._show)

    def __panel__(self) -> pn.Row:
        return self.view

    def show(self, chosen: Chosen | None) -> None:
        """Show a sample; None: nothing."""
        self.chosen = chosen
        self.drawing.ask()

    def _prepare(self) -> Callable[[], str]:
        settings = DisplaySettings.from_token(self.display.token())
        return partial(self._content, self.chosen, settings)

    def _show(self, content: str) -> None:
        self.card.object = content
        self.view.visible = bool(content)

    def _content(self, chosen: Chosen | None, display: DisplaySettings) -> str:
        if chosen is None:
            return ""
        row = int(chosen.facts.rows[chosen.place])
        real = self.source.reconstructions(np.array([row]))[0]
        name = str(self.source.bundle.column("galaxy_id")[row])
        pictures = [
            _figure(chosen.stamp, display, f"Synthetic galaxy, {chosen.words}", "SYNTHETIC"),
            _figure(real, display, f"Nearest real galaxy: {name}", "REAL"),
        ]
        drawn = self.source.stamps_of(chosen.codes[None])[0]
        first = self._judged_row(chosen, row)
        table = measures_html(measured(drawn), measured(real), self.source.references, first)
        return f'<div class="pair">{"".join(pictures)}<div class="measures">{table}</div></div>'

    def _judged_row(self, chosen: Chosen, row: int) -> str:
        """T as the judge reads it; of the neighbour, from which it has learnt, the catalogue's."""
        if chosen.facts.judged is None:
            return ""
        hint = escape(judged_hint(self.source.likeness))
        known = format_ttype(float(self.source.bundle.column("ttype")[row]))
        marks = '<td class="marks"></td>' if self.source.references else ""
        return (
            f'<tr><th scope="row" title="{hint}">Judged T</th><td class="number">'
            f"<b>{format_judged(chosen.facts.judged[chosen.place])}</b></td>"
            f'<td class="number">{known} (catalogue)</td>{marks}</tr>'
        )


def _figure(stamp: NDArray[np.float32], display: DisplaySettings, words: str, mark: str) -> str:
    data = base64.b64encode(encode(render(stamp[None], display)[0])).decode("ascii")
    kind = "mark" if mark == "SYNTHETIC" else "mark real"
    return (
        f'<figure><img src="data:image/webp;base64,{data}" alt="{escape(words)}">'
        f'<span class="{kind}">{mark}</span><figcaption>{escape(words)}</figcaption></figure>'
    )


def measures_html(
    sample: dict[str, float],
    real: dict[str, float],
    references: list[dict[str, float]],
    first: str = "",
) -> str:
    """A table of what both galaxies measure; among other real galaxies where these are known.

    first: a row of HTML above.
    """
    lines = [first]
    for name, words in MEASURES.items():
        others = np.array([one[name] for one in references])
        marks = f'<td class="marks">{_marks(sample[name], others)}</td>' if references else ""
        lines.append(
            f'<tr><th scope="row">{words}</th>'
            f'<td class="number"><b>{format_figure(sample[name])}</b></td>'
            f'<td class="number">{format_figure(real[name])}</td>{marks}</tr>'
        )
    heads = ("Statistic", "synthetic", "real", *(["among real galaxies"] if references else []))
    head = "".join(f'<th scope="col">{words}</th>' for words in heads)
    note = BAR_NOTE.format(n=len(references)) if references else ""
    return (
        f'<table class="targets"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody>'
        f'</table><p class="soft">{NOTE}{note}</p>'
    )


def _marks(value: float, others: NDArray[np.float64]) -> str:
    others = others[np.isfinite(others)]
    if not len(others) or not np.isfinite(value):
        return '<span class="soft">–</span>'
    low, high = np.quantile(others, USUAL).tolist()
    ends = np.append(others, value)
    return interval_html(value, low, high, axis=(float(ends.min()), float(ends.max()) + 1e-9))
