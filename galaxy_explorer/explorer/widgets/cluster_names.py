"""Names that visitors give to clusters, kept as remarks in the label log; the newest one holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import panel as pn
import panel_material_ui as pmui

from galaxy_explorer.errors import LabelError, in_words
from galaxy_explorer.explorer import search
from galaxy_explorer.explorer.background import notify
from galaxy_explorer.explorer.widgets.controls import SMALL, logged_in
from galaxy_explorer.labels.log import CLUSTER, Change
from galaxy_explorer.labels.scheme import MAX_LABEL, MAX_NAME, NOTE, checked

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.clustering.naming import ClusterName


def given_names(bundle: Bundle, key: str) -> dict[int, tuple[str, str]]:
    """What visitors have called clusters of a clustering: number -> name, and whose it is.

    Empty where the label log cannot be opened.
    """
    try:
        store = search.label_store(bundle)
    except LabelError:
        return {}
    said = store.remarks(CLUSTER)
    targets = {
        one.id: store.provenance.cluster_target(key, one.id)
        for one in bundle.clusterings[key].clusters
    }
    return {number: said[target] for number, target in targets.items() if target in said}


def name_cluster(bundle: Bundle, key: str, cluster: int, name: str, annotator: str) -> None:
    """Call a cluster by a name; "" goes back to that by the rule. May wait for the disk.

    Raises LabelError for a name that another cluster has or that cannot be stored, and NotSaved.
    """
    name = checked(name.strip(), "name", MAX_LABEL, empty=True)
    given = given_names(bundle, key)
    others = {
        given.get(number, (rule.name,))[0].casefold()
        for number, rule in enumerate(bundle.cluster_names(key))
        if number != cluster
    }
    if name.casefold() in others:
        raise LabelError(f"name {name!r}: another cluster is called so")
    store = search.label_store(bundle)
    target = store.provenance.cluster_target(key, cluster)
    store.record(annotator, [Change(target, NOTE, kind=CLUSTER, note=name, model=key)])


def shown_names(bundle: Bundle, key: str) -> tuple[ClusterName, ...]:
    """What the clusters of a clustering are called: as somebody said last, else by the rule."""
    given = given_names(bundle, key)
    return tuple(
        replace(rule, name=given.get(number, (rule.name,))[0])
        for number, rule in enumerate(bundle.cluster_names(key))
    )


class ClusterNaming:
    """A button that opens two fields: what a cluster is called, and who calls it so.

    rename: takes both; raises LabelError where that cannot be.
    """

    def __init__(self, rename: Callable[[str, str], Awaitable[None]]) -> None:
        self._rename = rename
        self.opener = pmui.Button(label="Rename", size="small", variant="outlined")
        self.name = pmui.TextInput(label="Name of the cluster", max_length=MAX_LABEL, **SMALL)
        login = logged_in()
        self.annotator = pmui.TextInput(
            label="Your name", value=login, visible=not login, max_length=MAX_NAME, **SMALL
        )
        save = pmui.Button(label="Save", size="small", variant="outlined")
        back = pmui.Button(label="Name by the rule", size="small", variant="outlined")
        self.fields = pn.Column(
            self.name, self.annotator, pn.Row(save, back, margin=0),
            visible=False, sizing_mode="stretch_width", margin=0, styles={"max-width": "420px"},
        )  # fmt: skip
        self.view = pn.Column(self.fields, sizing_mode="stretch_width", margin=0)
        self.opener.on_click(lambda _: self.fields.param.update(visible=not self.fields.visible))
        save.on_click(self._save)
        back.on_click(self._back)

    def begin(self, name: str) -> None:
        """Offer the name that a cluster has now."""
        self.name.value = name

    async def _save(self, _: object) -> None:
        # As typed: when the field is left, `value` may be that of a keystroke before.
        await self._give(self.name.value_input)

    async def _back(self, _: object) -> None:
        await self._give("")

    async def _give(self, name: str) -> None:
        try:
            await self._rename(name, self.annotator.value_input.strip())
            self.fields.visible = False
        except LabelError as error:
            notify(in_words(error), warning=True)
