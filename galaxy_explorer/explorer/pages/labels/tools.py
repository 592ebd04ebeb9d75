"""Tools beside the labelling desk: label many, regroup clusters, vocabulary, import, export."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import PurePath
from typing import Any

import panel as pn
import panel_material_ui as pmui

from galaxy_explorer.errors import GalaxyExplorerError
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.pages.labels.html import (
    STYLES,
    bad,
    plan_html,
    soft,
    vocabulary_html,
)
from galaxy_explorer.explorer.pages.labels.session import LabelSession
from galaxy_explorer.explorer.widgets.components import HtmlPane
from galaxy_explorer.explorer.widgets.controls import SMALL
from galaxy_explorer.labels.groups import Groups
from galaxy_explorer.labels.imports import FORMATS, ImportPlan, plan_import, read_rows
from galaxy_explorer.labels.log import CLUSTER, SELECTION, Change
from galaxy_explorer.labels.scheme import LabelScheme
from galaxy_explorer.labels.tables import table as label_table
from galaxy_explorer.utils.tables import FORMATS as OUT_FORMATS
from galaxy_explorer.utils.tables import encode_table

MAX_UPLOAD_BYTES = 8_000_000
"""Some 100,000 lines of labels; a websocket message holds at most 20 MB."""
THE_SELECTION = ""
TABLE_WORDS = {"What everyone says": "labels", "The majority": "majority", "Every event": "events"}


class Tool(pn.viewable.Viewer):
    """A few controls and a line that says what came of them."""

    def __init__(self, session: LabelSession, changed: Callable[[], None], **params: Any) -> None:
        super().__init__(**params)
        self.session, self.changed = session, changed
        self.words = HtmlPane("", stylesheets=[STYLES], margin=(2, 10))
        self.view = pn.Column(*self.controls(), self.words, sizing_mode="stretch_width", margin=0)
        self.refresh()

    def __panel__(self) -> pn.Column:
        return self.view

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
        await asyncio.to_thread(self.session.store.record, self.session.annotator, [change])

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


def offer(select: pmui.Select, options: dict[str, Any]) -> None:
    """Offer other options and choose the first; the same ones again would blank the field."""
    if options != select.options:
        select.options = options
        select.value = next(iter(options.values()), None)


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
            self.groups().merge([str(g) for g in self.chosen.value], self.title.value)
        )
        return self._done("Merged")

    async def _split(self) -> str:
        if len(self.chosen.value) != 1:
            return bad("Choose the one group that the selection is to leave.")
        ids = [self.session.sample.ids[row] for row in self.session.state.selection]
        change = self.groups().split(str(self.chosen.value[0]), ids, self.title.value)
        await self.record(change)
        return self._done("Split")

    async def _reverse(self) -> str:
        await self.record(self.groups().reverse(int(self.standing.value)))
        return render("parts.paragraph", words="Reversed; z undoes it.")

    def _done(self, words: str) -> str:
        done = f"{words} into {self.title.value}; z undoes it."
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
        edited = LabelScheme.from_lines(self.lines.value)
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
        rows = read_rows(data, PurePath(name).suffix, name)
        return plan_import(session.store, rows, annotator=session.annotator, sample=session.sample)

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
        except GalaxyExplorerError as error:
            self.words.object = bad(error)
            data = str(error).encode()
        return io.BytesIO(data)
