"""The labels of people, as Python has them."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from galaxy_explorer.api.opened import opened_bundle
from galaxy_explorer.settings import VERSION

if TYPE_CHECKING:
    from astropy.table import Table

    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.labels.groups import Sample
    from galaxy_explorer.labels.imports import ImportPlan
    from galaxy_explorer.labels.log import Event


def label_sample(bundle: Bundle) -> Sample:
    """The galaxies of a bundle that may be labelled, and all their clusters."""
    from galaxy_explorer.labels.groups import Sample

    ids = tuple(str(galaxy) for galaxy in bundle.column("galaxy_id"))
    return Sample(ids, {key: one.labels for key, one in bundle.clusterings.items()})


class Labels:
    """The labels in a log: who said what of which galaxy; nothing in it is ever overwritten.

    path: of the log, made where it is absent; None: the one that the app writes. bundle: or its
    folder; with it labels of clusters and selections reach their members in the tables, and what is
    imported must be among its galaxies.

    Raises LabelError where the log cannot be used, BundleError for a folder that is no bundle.

    >>> import galaxy_explorer as ge
    >>> labels = ge.Labels("labels.db", "trained/toy")
    >>> event = labels.give("Ada", "galaxy-0007", "T3", confidence="high")
    >>> event = labels.give("Ada", "galaxy-0007", "bar")
    >>> labels.said("galaxy-0007")
    {'Ada': {'stage': 'T3', 'bar': 'bar'}}
    >>> labels.table()["galaxy_id", "annotator", "ttype"].as_array().tolist()
    [('galaxy-0007', 'Ada', 3.0)]
    >>> len(labels.export_table("labels.ecsv", "majority"))
    1
    >>> labels.import_table("labels.ecsv", "Grace", dry_run=True).words()
    '2 new labels, 0 changed, 0 as they are, 0 refused'
    """

    def __init__(
        self, path: str | Path | None = None, bundle: Bundle | str | Path | None = None
    ) -> None:
        from galaxy_explorer.labels.log import Provenance, log_path
        from galaxy_explorer.labels.store import LabelStore
        from galaxy_explorer.settings import read_settings

        self.sample: Sample | None = None
        provenance = Provenance("", "", VERSION)
        if bundle is not None:
            opened = opened_bundle(bundle)
            self.sample = label_sample(opened)
            model = opened.manifest.default_clustering
            provenance = Provenance(opened.hash, model, VERSION)
        self.path = log_path(read_settings().labels) if path is None else Path(path)
        self.store = LabelStore(self.path, provenance)

    def __enter__(self) -> Labels:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        layers = self.store.layers()
        given = sum(len(layer.galaxies()) for layer in layers.values())
        return f"<Labels in {self.path}: {given} galaxies by {len(layers)} annotators>"

    @property
    def annotators(self) -> list[str]:
        """Everyone who has labelled, in alphabetical order."""
        return list(self.store.layers())

    def said(self, galaxy: str) -> dict[str, dict[str, str]]:
        """What annotators have given to one galaxy itself: annotator -> aspect -> label or note."""
        said = {name: layer.galaxies().get(galaxy) for name, layer in self.store.layers().items()}
        return {
            name: {aspect: value.text(aspect) for aspect, value in values.items()}
            for name, values in said.items()
            if values
        }

    def give(
        self, annotator: str, galaxy: str, label: str, *, confidence: str = "", note: str = ""
    ) -> Event:
        """Give a label of the vocabulary, such as "T3" or "bar", to a galaxy.

        confidence: "", "low", "medium" or "high". Returns what was stored. Raises LabelError for
        another label, NotSaved where it could not be written.
        """
        from galaxy_explorer.labels.log import Change

        aspect = self.store.vocabulary().find(label).aspect
        change = Change(galaxy, aspect, label, confidence=confidence, note=note)
        return self.store.record(annotator, [change])[0]

    def table(self, what: str = "labels") -> Table:
        """What everyone says ("labels"), what most say ("majority"), or the log ("events").

        Raises LabelError for another `what`.
        """
        from galaxy_explorer.labels.tables import table

        return table(self.store, what, self.sample)

    def export_table(self, out: str | Path, what: str = "labels") -> Table:
        """Write a table, .ecsv, .csv, .fits, .vot or .parquet, and return it.

        Raises SettingError for another extension, LabelError for another `what`.
        """
        from galaxy_explorer.utils.tables import write_table

        table = self.table(what)
        write_table(table, Path(out))
        return table

    def import_table(
        self,
        file: str | Path,
        annotator: str = "",
        *,
        dry_run: bool = False,
        table: str | None = None,
    ) -> ImportPlan:
        """Put the labels of a table (text, ECSV, FITS, VOTable, Parquet) into the log.

        annotator: whose labels they are, else the table's column annotator says so. dry_run: change
        nothing. table: name or number of the one to take where the file holds several.

        Returns what changed or would change, what was refused, and in `notes` how the table was
        read. Raises LabelError for a table that cannot be read.
        """
        from galaxy_explorer.labels.imports import plan_import, read_rows

        file = Path(file)
        said: list[str] = []
        kind = "".join(file.suffixes[-2:])
        rows = read_rows(file.read_bytes(), kind, str(file), table=table, said=said.append)
        plan = plan_import(self.store, rows, annotator=annotator, sample=self.sample)
        plan.notes[:0] = said
        if not dry_run:
            plan.apply(self.store)
        return plan

    def close(self) -> None:
        """Close the log."""
        self.store.close()
