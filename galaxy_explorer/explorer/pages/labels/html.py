"""What annotators said, as HTML: of one galaxy, and how far they agree. All text is escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from galaxy_explorer.explorer.escape import escape
from galaxy_explorer.labels.agreement import fleiss, pair_agreements, ratings
from galaxy_explorer.labels.log import SET
from galaxy_explorer.labels.scheme import NOTE, STAGE

if TYPE_CHECKING:
    from galaxy_explorer.labels.imports import ImportPlan
    from galaxy_explorer.labels.log import Event
    from galaxy_explorer.labels.scheme import LabelScheme
    from galaxy_explorer.labels.store import Annotations, Value

STYLES = """
:host { color: var(--panel-on-background-color); font-size: 13px; line-height: 1.45; }
h3 { margin: 0 0 3px; font-size: 14px; font-weight: 600; }
p { margin: 0 0 4px; }
.soft { opacity: 0.72; }
.bad {
  color: color-mix(in srgb, #d3382c 72%, var(--panel-on-background-color)); font-weight: 500;
}
table { border-collapse: collapse; width: 100%; }
th, td { padding: 2px 8px 2px 0; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 500; opacity: 0.72; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.pairs th { overflow-wrap: normal; text-align: right; }
.pairs th:first-child { text-align: left; }
ol { margin: 0; padding-left: 18px; }
"""
MAX_PAIRS = 12
MAX_EVENTS = 12
MAX_LINES = 15


def soft(words: str) -> str:
    """A remark in a softer tone."""
    return f'<p class="soft">{escape(words)}</p>'


def bad(words: object) -> str:
    """What went wrong."""
    return f'<p class="bad">{escape(words)}</p>'


def said_html(said: Mapping[str, Value]) -> str:
    """What one annotator says of a galaxy, in a line."""
    labels = [f"{v.label}{f' ({v.confidence} confidence)' * bool(v.confidence)}"
              for aspect, v in said.items() if aspect != NOTE]  # fmt: skip
    notes = [f"“{said[NOTE].note}”"] if NOTE in said else []
    return escape(", ".join([*labels, *notes]) or "nothing")


def annotations_html(everyone: Mapping[str, Mapping[str, Value]], me: str, *, blind: bool) -> str:
    """What each annotator says of the galaxy on the screen; in blind mode only one's own."""
    shown = {name: said for name, said in everyone.items() if said or name == me}
    hidden = [name for name in shown if name != me] if blind else []
    lines = "".join(
        f"<tr><th>{escape(name)}</th><td>{said_html(shown[name])}</td></tr>"
        for name in shown
        if name not in hidden
    )
    others = soft("What others said is hidden: blind mode.") if blind else ""
    return f"<h3>Who said what</h3><table>{lines}</table>{others}"


def history_html(events: Sequence[Event], me: str, *, blind: bool) -> str:
    """The newest events on a galaxy, newest first; in blind mode only one's own."""
    shown = [event for event in events if event.annotator == me or not blind]
    lines = "".join(f"<li>{_event_html(event)}</li>" for event in shown[: -MAX_EVENTS - 1 : -1])
    body = f"<ol reversed start={len(shown)}>{lines}</ol>" if lines else soft("No label yet.")
    return f"<h3>History</h3>{body}"


def _event_html(event: Event) -> str:
    value = event.note if event.aspect == NOTE else event.label
    what = "" if event.aspect in {value, STAGE} else f"{event.aspect} "
    change = f"{what}{event.previous or '–'} → {value or '–'}"
    action = "" if event.action == SET else f"{event.action}: "
    when = event.at[:19].replace("T", " ")
    return escape(f"{action}{change} · {event.annotator} · {when} UTC")


def agreement_html(layers: Mapping[str, Annotations], order: Sequence[str], me: str) -> str:
    """Kappas of the stages, as HTML: of all annotators, and of each pair (one's own first)."""
    said = ratings(layers)
    active = sum(bool(labels) for labels in said.values())
    if active < 2:
        return "<h3>Agreement</h3>" + soft(
            "Appears when a second annotator gives stages to the same galaxies."
        )
    pairs = sorted(
        pair_agreements(said, order), key=lambda p: (me not in {p.first, p.second}, -p.n)
    )
    kappa, n, raters = fleiss(said)
    head = f"Fleiss’ κ {_number(kappa)} over {n:,} galaxies that all {raters} gave a stage"
    lines = "".join(
        f"<tr><td>{escape(p.first)} – {escape(p.second)}</td><td class='number'>{p.n:,}</td>"
        f"<td class='number'>{100 * p.same:.0f} %</td><td class='number'>{_number(p.kappa)}</td>"
        f"<td class='number'>{_number(p.weighted)}</td></tr>"
        for p in pairs[:MAX_PAIRS]
    )
    heads = (
        ("Pair", "Two annotators"), ("n", "Galaxies to which both gave a stage"),
        ("same", "Share with the same stage"), ("κ", "Cohen’s kappa: 0 chance, 1 full agreement"),
        ("κ of T", "Cohen’s kappa weighted by the squares of the steps of T"),
    )  # fmt: skip
    titles = "".join(f'<th title="{words}">{name}</th>' for name, words in heads)
    table = f'<table class="pairs"><tr>{titles}</tr>{lines}</table>'
    return f"<h3>Agreement on the stage</h3><p>{head}</p>{table}"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}".replace("-", "−")


def plan_html(plan: ImportPlan) -> str:
    """What an import would change, as HTML: the sums and the first lines."""
    changed = "".join(
        f"<tr><td class='number'>{line}</td><td>{escape(galaxy)}</td><td>{escape(aspect)}</td>"
        f"<td>{escape(before or '–')} → {escape(after or '–')}</td></tr>"
        for line, galaxy, _, aspect, before, after in plan.lines[:MAX_LINES]
    )
    refused = "".join(
        f"<tr><td class='number'>{line}</td><td colspan=3 class='bad'>{escape(reason)}</td></tr>"
        for line, reason in plan.refused[:MAX_LINES]
    )
    rest = len(plan.lines) + len(plan.refused) - len(plan.lines[:MAX_LINES])
    rest -= len(plan.refused[:MAX_LINES])
    more = soft(f"… and {rest:,} more lines") if rest else ""
    heads = "<tr><th>Line</th><th>Galaxy</th><th>About</th><th>Change</th></tr>"
    table = f"<table>{heads}{changed}{refused}</table>" if changed or refused else ""
    return f"<p><b>{escape(plan.words())}</b></p>{table}{more}"


def vocabulary_html(vocabulary: LabelScheme) -> str:
    """Which version this is and how its lines read."""
    return soft(
        f"Version {vocabulary.version}. One term a line: label; key; words; kind. Kinds: stage "
        "(one of them, then the next galaxy), verdict (on or off, then the next galaxy), feature "
        "(on or off, the galaxy stays). A changed vocabulary is a new version; labels given "
        "before stay as they are."
    )
