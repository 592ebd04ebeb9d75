"""What is said of synthetic galaxies: a few words beside each, and one large with its measures.

Beside each sample stand its nearest real galaxy, its likelihood, and T as a judge reads it; in the
large view also the attributes that it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
from numpy.typing import NDArray

from galaxy_explorer.bundle.emulation import READ_TTYPE
from galaxy_explorer.emulation.likeness import Facts
from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.background import LatestTask
from galaxy_explorer.explorer.pages.emulator.source import EmulatorSource, measured
from galaxy_explorer.explorer.pictures.display import DisplaySettings, render_stamps
from galaxy_explorer.explorer.widgets.components import CARD_STYLES, HtmlPane, View
from galaxy_explorer.explorer.widgets.detail import picture_values
from galaxy_explorer.explorer.widgets.intervals import format_figure, interval_html
from galaxy_explorer.explorer.wording import format_ttype, real_mark
from galaxy_explorer.models.conditions import ATTRIBUTES

if TYPE_CHECKING:
    from galaxy_explorer.emulation.likeness import Facts, Likeness


DISTANCE_HINT = "Root mean square distance of the {space} from those of this real galaxy"
LIKELY_HINT = "Share of held-out galaxies that the prior finds less likely than this sample"
READ_HEADING = " T is read off the synthetic galaxy by a network that has learnt from real ones."
READ_HINT = (
    "As an independent network reads it, which has learnt from real galaxies of the train split;"
    " read before any camera, with the median noise of real stamps, mean of eight orientations."
    " Its errors, of {}."
)


def sample_cards(
    likeness: Likeness, facts: Facts, types: Sequence[float] = ()
) -> list[dict[str, Any]]:
    """Of each sample, its nearest real galaxy and lines of words with their hints.

    types: what each was asked for, where they differ.
    """
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
    judge = likeness.bundle.ttype_regressor
    if judge is not None:
        hint = READ_HINT.format(judge.of(likeness.emulator.model))
        for card, ttype in zip(cards, facts.read[READ_TTYPE], strict=True):
            card["lines"].append([f"T read as {format_read_ttype(ttype)}", hint])
    for card, asked in zip(cards, types, strict=False):
        card["lines"].insert(0, [f"asked T {asked:g}".replace("-", "−"), ""])
    return cards


def format_read_ttype(ttype: float) -> str:
    """A T that was read to one decimal, as its error allows, with a true minus."""
    return f"{round(float(ttype), 1) + 0.0:.1f}".replace("-", "−")


def read_rows(likeness: Likeness, facts: Facts, place: int) -> list[dict[str, str]]:
    """What is read of a sample, beside what the catalogue has of its nearest real galaxy.

    From that one the network has learnt, so that reading it would tell nothing.
    """
    judge, bundle = likeness.bundle.ttype_regressor, likeness.bundle
    if judge is None:
        return []
    row, model = int(facts.rows[place]), likeness.emulator.model
    rows = [
        {
            "name": "T as read",
            "explanation": READ_HINT.format(judge.of(model)),
            "synthetic": format_read_ttype(facts.read[READ_TTYPE][place]),
            "real": format_ttype(float(bundle.column("ttype")[row])),
        }
    ]
    for name, label, column in ATTRIBUTES:
        if name in judge.attributes:
            known = float(bundle.column(column)[row]) if column in bundle.column_names else np.nan
            rows.append(
                {
                    "name": f"{label} as read, 0 to 1",
                    "explanation": READ_HINT.format(judge.attributes[name].of(model)),
                    "synthetic": f"{facts.read[f'read_{name}'][place]:.2f}",
                    "real": f"{known:.2f}" if np.isfinite(known) else "unknown",
                }
            )
    return rows


USUAL = (0.16, 0.84)
MEASURES = {
    "concentration": "Concentration C", "asymmetry": "Asymmetry A", "smoothness": "Smoothness S",
    "gini": "Gini", "m20": "M20", "sersic_n": "Sérsic index n", "r_half": "Half-light radius (px)",
    "ellipticity": "Ellipticity",
}  # fmt: skip
NOTE = "statmorph, on the pictures as the model draws them, without noise."
BAR_NOTE = (
    " Bar: two thirds of {n} held-out galaxies, drawn from their codes and measured likewise."
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
    """A sample: how it is seen (T, T), its code map (h, w), facts of all, number, words.

    draggable: whether its number alone, of those of its request, says which noise it is of.
    """

    stamp: NDArray[np.float32]
    codes: NDArray[np.integer]
    facts: Facts
    place: int
    words: str
    draggable: bool = False


class SampleDetail(View):
    """The card of the sample that was clicked; hidden while there is none."""

    def __init__(
        self,
        source: EmulatorSource,
        display: DisplaySettings,
        close: Callable[[], None],
        drag: Callable[[int], None],
    ) -> None:
        super().__init__()
        self.source, self.display = source, display
        self.chosen: Chosen | None = None
        self.card = HtmlPane(
            "", stylesheets=[*CARD_STYLES, STYLES], margin=0, sizing_mode="stretch_width"
        )
        shut = pmui.IconButton(
            icon="close", size="small", margin=0, description="Close", on_click=lambda _: close()
        )
        self.drag = pmui.Button(
            label="Put this one under the slider", size="small", variant="outlined", margin=(6, 0),
            on_click=lambda _: None if self.chosen is None else drag(self.chosen.place),
        )  # fmt: skip
        self.view = pn.Row(
            pn.Column(self.card, self.drag, margin=0, sizing_mode="stretch_width"), shut,
            sizing_mode="stretch_width", visible=False, margin=(0, 0, 12, 0),
        )  # fmt: skip
        self.task = LatestTask(self.prepare, self._show)

    def show(self, chosen: Chosen | None) -> None:
        """Show a sample; None: nothing."""
        self.chosen = chosen
        self.task.ask()

    def prepare(self) -> Callable[[], str]:
        """What to draw now; it is made in a thread."""
        settings = DisplaySettings.from_token(self.display.token())
        return partial(self._content, self.chosen, settings)

    def _show(self, content: str) -> None:
        self.card.object = content
        self.drag.visible = self.chosen is not None and self.chosen.draggable
        self.view.visible = bool(content)

    def _content(self, chosen: Chosen | None, display: DisplaySettings) -> str:
        if chosen is None:
            return ""
        row = int(chosen.facts.rows[chosen.place])
        real = self.source.reconstructions(np.array([row]))[0]
        name = str(self.source.bundle.column("galaxy_id")[row])

        def shown(stamp: NDArray[np.float32], words: str) -> dict[str, str]:
            return picture_values(render_stamps(stamp[None], display)[0], words)

        pictures = [
            {
                **shown(chosen.stamp, f"Synthetic galaxy, {chosen.words}"),
                "mark": "SYNTHETIC", "kind": "mark",
            },
            {
                **shown(real, f"Nearest real galaxy: {name}"),
                "mark": real_mark(self.source.bundle), "kind": "mark real",
            },
        ]  # fmt: skip
        read = read_rows(self.source.likeness, chosen.facts, chosen.place)
        drawn = self.source.stamps_of(chosen.codes[None])[0]
        table = measures_html(measured(drawn), measured(real), self.source.references, read)
        return render("emulator.sample", pictures=pictures, measures=table)


def measures_html(
    sample: dict[str, float],
    real: dict[str, float],
    references: list[dict[str, float]],
    read: Sequence[dict[str, str]] = (),
) -> Html:
    """A table of what both galaxies measure; among other real galaxies where these are known.

    read: first rows, see `read_rows`.
    """
    rows = []
    for name, words in MEASURES.items():
        others = np.array([one[name] for one in references])
        marks = place_html(sample[name], others) if references else ""
        numbers = {"synthetic": format_figure(sample[name]), "real": format_figure(real[name])}
        rows.append({"name": words, **numbers, "marks": marks})
    heads = ["Statistic", "synthetic", "real", *(["among real galaxies"] if references else [])]
    note = NOTE + (BAR_NOTE.format(n=len(references)) if references else "")
    return render("emulator.measures", heads=heads, read=read, rows=rows, note=note)


def place_html(value: float, others: NDArray[np.float64]) -> str:
    """Where a value lies among others (n,); empty where that cannot be told."""
    others = others[np.isfinite(others)]
    if not len(others) or not np.isfinite(value):
        return ""
    low, high = np.quantile(others, USUAL).tolist()
    ends = np.append(others, value)
    return interval_html(value, low, high, axis=(float(ends.min()), float(ends.max()) + 1e-9))
