"""Tools beside the labelling desk: label many, regroup clusters, vocabulary, import, export.

And what annotators said, as HTML: of one galaxy, and how far they agree.
"""

from __future__ import annotations

import asyncio
import io
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui

from galaxy_explorer.errors import GalaxyExplorerError, in_words
from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.pages.labels.session import LabelSession
from galaxy_explorer.explorer.widgets.components import HtmlPane, View
from galaxy_explorer.explorer.widgets.controls import SMALL
from galaxy_explorer.labels.agreement import fleiss, pair_agreements, ratings
from galaxy_explorer.labels.groups import Groups
from galaxy_explorer.labels.imports import FORMATS, ImportPlan, plan_import, read_rows
from galaxy_explorer.labels.log import CLUSTER, SELECTION, SET, Change
from galaxy_explorer.labels.scheme import NOTE, STAGE, LabelScheme
from galaxy_explorer.labels.tables import table as label_table
from galaxy_explorer.utils.tables import FORMATS as OUT_FORMATS
from galaxy_explorer.utils.tables import encode_table

if TYPE_CHECKING:
    from galaxy_explorer.labels.log import Event
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
    return render(
        "labels.plan", words=plan.words(), notes=plan.notes, changed=changed, refused=refused,
        more=more,
    )  # fmt: skip


def vocabulary_html(vocabulary: LabelScheme) -> Html:
    """Which version this is and how its lines read."""
    return soft(
        f"Version {vocabulary.version}. One term a line: label; key; words; kind. Kinds: stage "
        "(one of them, then the next galaxy), verdict (on or off, then the next galaxy), feature "
        "(on or off, the galaxy stays). A changed vocabulary is a new version; labels given "
        "before stay as they are."
    )


MAX_UPLOAD_BYTES = 8_000_000
"""Some 100,000 lines of labels; a websocket message holds at most 20 MB."""
THE_SELECTION = ""
TABLE_WORDS = {"What everyone says": "labels", "The majority": "majority", "Every event": "events"}


class Tool(View):
    """A few controls and a line that says what came of them."""

    def __init__(self, session: LabelSession, changed: Callable[[], None], **params: Any) -> None:
        super().__init__(**params)
        self.session, self.changed = session, changed
        self.words = HtmlPane("", stylesheets=[STYLES], margin=(2, 10))
        self.view = pn.Column(*self.controls(), self.words, sizing_mode="stretch_width", margin=0)
        self.refresh()

    def controls(self) -> Iterable[Any]:
        """Make the controls."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Offer what there is now."""

    def button(self, label: str, action: Callable[[], Awaitable[str]], **options: Any) -> Any:
        """A button; what its action returns, or why it failed, is shown in the line below."""

        async def clicked(_: Any) -> None:
            try:
                self.words.object = await action()
            except GalaxyExplorerError as error:
                self.words.object = bad(error)
            self.refresh()
            self.changed()

        settings: dict[str, Any] = {"size": "small", "variant": "outlined", **options}
        made = pmui.Button(label=label, **settings)
        made.on_click(clicked)
        return made

    async def record(self, change: Change) -> None:
        """Store one change of the annotator. Raises LabelError."""
        session = self.session
        shown = replace(change, model=session.state.clustering)
        await asyncio.to_thread(session.store.record, session.annotator, [shown])

    def groups(self) -> Groups:
        """The annotator's groups over the clustering that is shown."""
        store, sample = self.session.store, self.session.sample
        layer = store.layer(self.session.annotator)
        return Groups(store, sample, layer, self.session.state.clustering)


def group_options(groups: Groups) -> dict[str, str]:
    """Groups in words, with their numbers of galaxies: named ones first."""
    counts = Counter(groups.names.tolist())
    order = sorted(
        counts, key=lambda name: (name.isdecimal(), int(name) if name.isdecimal() else 0, name)
    )
    return {f"{'cluster ' * name.isdecimal()}{name} ({counts[name]:,})": name for name in order}


def offer(select: pmui.Select, options: dict[str, Any], wanted: Any = None) -> None:
    """Offer other options and choose `wanted`, else the first.

    The same options again would blank the field.
    """
    if options != select.options:
        select.options = options
        values = list(options.values())
        select.value = wanted if wanted in values else next(iter(values), None)


class LabelMany(Tool):
    """Label the selection or a whole cluster, after a question that states the number."""

    def controls(self) -> Iterable[Any]:
        """Target, label, and the question before anything is stored."""
        self.target = pmui.Select(label="Galaxies", **SMALL)
        self.label = pmui.Select(label="Label", **SMALL)
        self.ask = self.button("Label …", self._ask)
        self.sure = self.button("Yes", self._label, color="primary", variant="contained")
        self.no = self.button("No", self._cancel)
        self.asked: Change | None = None
        for choice in (self.target, self.label):
            choice.param.watch(lambda _: self._show(None), "value")
        return self.target, self.label, pn.Row(self.ask, self.sure, self.no)

    def refresh(self) -> None:
        """Offer the selection and the groups as they are now."""
        state = self.session.state
        terms = self.session.vocabulary.terms
        offer(self.label, {f"{term.label}: {term.words}": term.label for term in terms})
        chosen = {f"the selection ({len(state.selection):,})": THE_SELECTION}
        chosen = chosen if len(state.selection) else {}
        offer(self.target, chosen | group_options(self.groups()))
        self._show(self.asked)

    def _show(self, asked: Change | None) -> None:
        self.asked = asked
        self.ask.visible = asked is None
        self.sure.visible = self.no.visible = asked is not None

    async def _ask(self) -> str:
        label = str(self.label.value)
        aspect = self.session.vocabulary.find(label).aspect
        state, sample = self.session.state, self.session.sample
        if self.target.value == THE_SELECTION:
            rows, words = state.selection, f"the selection ({state.selection_label})"
            members = tuple(sample.ids[row] for row in rows)
            change = Change("", aspect, label, SELECTION, members=members)
        else:
            group = str(self.target.value)
            rows, words = self.groups().members(group), f"cluster {group} of {state.clustering}"
            target = self.session.store.provenance.cluster_target(state.clustering, group)
            change = Change(target, aspect, label, CLUSTER)
        self.sure.label = f"Label {len(rows):,} galaxies"
        self._show(change)
        count = f"{len(rows):,} galaxies"
        return render("labels.question", count=count, members=words, label=label)

    async def _label(self) -> str:
        asked = self.asked
        self._show(None)
        if asked is None:
            return ""
        await self.record(asked)
        saved = render("parts.paragraph", words=f"Saved as {asked.label}; z undoes it.")
        return saved + soft(
            "The members show it as a derived label; labels given to a galaxy itself stand."
        )

    async def _cancel(self) -> str:
        self._show(None)
        return soft("Nothing was labelled.")


class Regroup(Tool):
    """Merge clusters and split them, by name; each step can be reversed."""

    def controls(self) -> Iterable[Any]:
        """Groups, name, and what has been done so far."""
        self.chosen = pmui.MultiChoice(label="Groups", sizing_mode="stretch_width")
        self.title = pmui.TextInput(label="Name of the new group", **SMALL)
        self.standing = pmui.Select(label="Mergers and splits so far", **SMALL)
        merge = self.button("Merge them", self._merge)
        split = self.button("Split the selection out", self._split)
        self.back = self.button("Reverse", self._reverse)
        buttons = pn.Row(merge, split, styles={"flex-wrap": "wrap"}, sizing_mode="stretch_width")
        return self.chosen, self.title, buttons, self.standing, self.back

    def refresh(self) -> None:
        """Offer the groups and what can be reversed."""
        groups = self.groups()
        if (options := group_options(groups)) != self.chosen.options:
            self.chosen.options = options
        done = {f"{event.aspect} into {event.label}": event.seq for event in groups.events}
        offer(self.standing, dict(reversed(done.items())))
        self.standing.visible = self.back.visible = bool(done)

    async def _merge(self) -> str:
        await self.record(
            self.groups().merge([str(g) for g in self.chosen.value], self.title.value_input)
        )
        return self._done("Merged")

    async def _split(self) -> str:
        if len(self.chosen.value) != 1:
            return bad("Choose the one group that the selection is to leave.")
        ids = [self.session.sample.ids[row] for row in self.session.state.selection]
        change = self.groups().split(str(self.chosen.value[0]), ids, self.title.value_input)
        await self.record(change)
        return self._done("Split")

    async def _reverse(self) -> str:
        await self.record(self.groups().reverse(int(self.standing.value)))
        return render("parts.paragraph", words="Reversed; z undoes it.")

    def _done(self, words: str) -> str:
        done = f"{words} into {self.title.value_input}; z undoes it."
        self.chosen.value, self.title.value = [], ""
        return render("parts.paragraph", words=f"{done} The model's clusters stay as they are.")


class EditVocabulary(Tool):
    """The terms as lines of text."""

    def controls(self) -> Iterable[Any]:
        """The lines and a button."""
        self.lines = pmui.TextAreaInput(
            label="Terms", rows=9, max_rows=16, max_length=5000, **SMALL
        )
        self.lines.value = self.session.vocabulary.to_lines()
        return self.lines, self.button("Store as a new version", self._store)

    def refresh(self) -> None:
        """Say which version is in use."""
        self.words.object = self.words.object or vocabulary_html(self.session.vocabulary)

    async def _store(self) -> str:
        edited = LabelScheme.from_lines(self.lines.value_input)
        store, name = self.session.store, self.session.annotator
        self.session.vocabulary = await asyncio.to_thread(store.edit_vocabulary, name, edited)
        return vocabulary_html(self.session.vocabulary)


class Import(Tool):
    """Labels from a file: first what would change, then the change."""

    def controls(self) -> Iterable[Any]:
        """The file, and a button once it was looked at."""
        self.plan = ImportPlan()
        self.file = pmui.FileInput(
            label="Labels (CSV, ECSV, FITS, VOTable)", accept=",".join(FORMATS), **SMALL
        )
        self.file.param.watch(self._look, "value")
        self.store = self.button("Store", self._store, color="primary", visible=False)
        return self.file, self.store

    async def _look(self, _: Any) -> None:
        data, name = self.file.value, str(self.file.filename or "")
        self.store.visible = False
        if not data:
            return
        if len(data) > MAX_UPLOAD_BYTES:
            self.words.object = bad(f"{name}: more than {MAX_UPLOAD_BYTES // 1_000_000} MB")
            return
        try:
            self.plan = await asyncio.to_thread(self._planned, data, name)
        except GalaxyExplorerError as error:
            self.words.object = bad(error)
            return
        self.words.object = plan_html(self.plan)
        self.store.label = f"Store {len(self.plan.lines):,} labels as {self.session.annotator}"
        self.store.visible = bool(self.plan.lines)

    def _planned(self, data: bytes, name: str) -> ImportPlan:
        session = self.session
        said: list[str] = []
        rows = read_rows(data, PurePath(name).suffix, name, said=said.append)
        whose = session.annotator
        plan = plan_import(session.store, rows, annotator=whose, sample=session.sample)
        plan.notes[:0] = said
        return plan

    async def _store(self) -> str:
        self.store.visible = False
        stored = await asyncio.to_thread(self.plan.apply, self.session.store)
        return render("parts.paragraph", words=f"Saved: {stored:,} labels.")


class Export(Tool):
    """Label tables as files."""

    def controls(self) -> Iterable[Any]:
        """Which table, which format, and the download."""
        formats = {kind.words: extension for extension, kind in OUT_FORMATS.items()}
        self.what = pmui.Select(label="Table", options=TABLE_WORDS, **SMALL)
        self.format = pmui.Select(label="Format", options=formats, **SMALL)
        self.download = pmui.FileDownload(
            callback=self.data, filename="labels.ecsv", label="Download", auto=True,
            size="small",
        )  # fmt: skip
        for choice in (self.what, self.format):
            choice.param.watch(self._name, "value")
        return pn.Row(self.what, self.format, sizing_mode="stretch_width"), self.download

    def _name(self, _: Any) -> None:
        self.download.filename = f"{self.what.value}.{self.format.value}"

    def data(self) -> io.BytesIO:
        """The file; its text says why where the table cannot be written in that format."""
        table = label_table(self.session.store, str(self.what.value), self.session.sample)
        try:
            data = encode_table(table, str(self.format.value))
        except (GalaxyExplorerError, OSError) as error:
            self.words.object = bad(in_words(error))
            data = in_words(error).encode()
        return io.BytesIO(data)
