"""What annotators said, as HTML: of one galaxy, and how far they agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from galaxy_explorer.explorer.assets import Html, render
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
PAIR_HEADS = {
    "Pair": "Two annotators",
    "n": "Galaxies to which both gave a stage",
    "same": "Share with the same stage",
    "κ": "Cohen’s kappa: 0 chance, 1 full agreement",
    "κ of T": "Cohen’s kappa weighted by the squares of the steps of T",
}


def soft(words: str) -> Html:
    """A remark in a softer tone."""
    return render("parts.soft", words=words)


def bad(words: object) -> Html:
    """What went wrong."""
    return render("labels.bad", words=words)


def format_annotations(said: Mapping[str, Value]) -> str:
    """What one annotator says of a galaxy, in a line."""
    labels = [f"{v.label}{f' ({v.confidence} confidence)' * bool(v.confidence)}"
              for aspect, v in said.items() if aspect != NOTE]  # fmt: skip
    notes = [f"“{said[NOTE].note}”"] if NOTE in said else []
    return ", ".join([*labels, *notes]) or "nothing"


def annotations_html(everyone: Mapping[str, Mapping[str, Value]], me: str, *, blind: bool) -> Html:
    """What each annotator says of the galaxy on the screen; in blind mode only one's own."""
    lines = [
        {"name": name, "words": format_annotations(said)}
        for name, said in everyone.items()
        if name == me or (said and not blind)
    ]
    hidden = "What others said is hidden: blind mode." if blind else ""
    return render("labels.annotations", lines=lines, hidden=hidden)


def history_html(events: Sequence[Event], me: str, *, blind: bool) -> Html:
    """The newest events on a galaxy, newest first; in blind mode only one's own."""
    shown = [event for event in events if event.annotator == me or not blind]
    newest = [format_event(event) for event in shown[: -MAX_EVENTS - 1 : -1]]
    return render("labels.history", count=len(shown), events=newest)


def format_event(event: Event) -> str:
    """An event in a line: what changed, who did it, when."""
    value = event.note if event.aspect == NOTE else event.label
    what = "" if event.aspect in {value, STAGE} else f"{event.aspect} "
    change = f"{what}{event.previous or '–'} → {value or '–'}"
    action = "" if event.action == SET else f"{event.action}: "
    when = event.at[:19].replace("T", " ")
    return f"{action}{change} · {event.annotator} · {when} UTC"


def agreement_html(layers: Mapping[str, Annotations], order: Sequence[str], me: str) -> Html:
    """Kappas of the stages, as HTML: of all annotators, and of each pair (one's own first)."""
    said = ratings(layers)
    active = sum(bool(labels) for labels in said.values())
    if active < 2:
        return render("labels.no_agreement")
    pairs = sorted(
        pair_agreements(said, order), key=lambda p: (me not in {p.first, p.second}, -p.n)
    )
    kappa, n, raters = fleiss(said)
    rows = [
        {
            "names": f"{p.first} – {p.second}",
            "figures": [
                f"{p.n:,}", f"{100 * p.same:.0f} %", format_kappa(p.kappa),
                format_kappa(p.weighted),
            ],
        }
        for p in pairs[:MAX_PAIRS]
    ]  # fmt: skip
    words = f"Fleiss’ κ {format_kappa(kappa)} over {n:,} galaxies that all {raters} gave a stage"
    heads = [{"name": name, "explanation": meaning} for name, meaning in PAIR_HEADS.items()]
    return render("labels.agreement", words=words, heads=heads, pairs=rows)


def format_kappa(value: float) -> str:
    """A kappa to two decimals, with a true minus; a dash for none."""
    return "–" if math.isnan(value) else f"{value:.2f}".replace("-", "−")


def plan_html(plan: ImportPlan) -> Html:
    """What an import would change, as HTML: the sums and the first lines."""
    changed = [
        {
            "line": line, "galaxy": galaxy, "aspect": aspect,
            "change": f"{before or '–'} → {after or '–'}",
        }
        for line, galaxy, _, aspect, before, after in plan.lines[:MAX_LINES]
    ]  # fmt: skip
    refused = [{"line": line, "reason": reason} for line, reason in plan.refused[:MAX_LINES]]
    rest = len(plan.lines) + len(plan.refused) - len(changed) - len(refused)
    more = f"… and {rest:,} more lines" if rest else ""
    return render("labels.plan", words=plan.words(), changed=changed, refused=refused, more=more)


def vocabulary_html(vocabulary: LabelScheme) -> Html:
    """Which version this is and how its lines read."""
    return soft(
        f"Version {vocabulary.version}. One term a line: label; key; words; kind. Kinds: stage "
        "(one of them, then the next galaxy), verdict (on or off, then the next galaxy), feature "
        "(on or off, the galaxy stays). A changed vocabulary is a new version; labels given "
        "before stay as they are."
    )
