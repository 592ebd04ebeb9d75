"""Tables and imports: what is exported says what is stored, and comes back as it was."""

from __future__ import annotations

import io

import numpy as np
import pytest
from astropy.io.votable import validate
from astropy.table import Table

from galaxy_explorer.errors import LabelError
from galaxy_explorer.labels.imports import FORMATS, plan_import, read_rows
from galaxy_explorer.labels.log import Change, log_path
from galaxy_explorer.labels.probe import taught
from galaxy_explorer.labels.scheme import DEFAULT, LabelScheme
from galaxy_explorer.labels.tables import table as label_table
from galaxy_explorer.utils.tables import FORMATS as OUT
from galaxy_explorer.utils.tables import changed_column, decode_table, encode_table
from tests.labels.conftest import KEY


@pytest.fixture
def labelled(store):
    store.record(
        "Ada", [Change("g1", "stage", "T3", confidence="high"), Change("g1", "bar", "bar")]
    )
    store.record("Ada", [Change("g2", "note", note="dust, see “Plate 3”")])
    store.record("Ada", [Change("g5", "artefact", "artefact")])
    store.record("Bo", [Change("g1", "stage", "T4"), Change("g1", "bar", "bar")])
    store.record("Cy", [Change("g1", "stage", "T4")])
    target = store.provenance.cluster_target(KEY, 2)
    store.record("Bo", [Change(target, "stage", "T-3", "cluster")])
    return store


def test_the_label_table_keeps_typed_and_derived_apart(labelled, sample):
    table = label_table(labelled, "labels", sample)
    rows = {(row["galaxy_id"], row["annotator"]): row for row in table}
    ada = rows["g1", "Ada"]
    assert (ada["stage"], ada["ttype"], ada["features"], ada["confidence"]) == (
        "T3", 3, "bar", "high",
    )  # fmt: skip
    bo = rows["g2", "Bo"]
    assert (bo["stage"], bo["derived_stage"]) == ("", "T-3")
    assert bo["derived_from"] == f"cluster {KEY}#2"
    assert np.isnan(bo["ttype"])
    assert len(table) == 3 + 1 + 4 + 1


def test_the_majority_counts_those_who_labelled_the_galaxy(labelled, sample):
    table = label_table(labelled, "majority", sample)
    row = table[list(table["galaxy_id"]).index("g1")]
    assert (row["n_annotators"], row["stage"], row["votes"], row["features"]) == (3, "T4", 2, "bar")
    assert "g2" not in table["galaxy_id"], "a remark is no label"


def test_labels_keep_their_stage_when_the_vocabulary_no_longer_has_them(labelled, sample):
    fewer = tuple(term for term in DEFAULT.terms if term.label not in {"T3", "T4"})
    labelled.edit_vocabulary("Bo", LabelScheme(fewer))
    for name, row in (("labels", 0), ("majority", 0)):
        found = label_table(labelled, name, sample)[row]
        assert (found["stage"], found["ttype"]) in {("T3", 3), ("T4", 4)}
    lessons = taught(labelled.layer("Ada"), labelled.vocabulary(), sample.rows)
    assert lessons.ttype.tolist() == [3]


def test_the_event_table_is_the_log(labelled):
    table = label_table(labelled, "events")
    assert [tuple(row) for row in table] == [
        tuple(getattr(event, name) for name in table.colnames) for event in labelled.events()
    ]


def test_every_column_is_described(labelled, sample):
    for what in ("labels", "majority", "events"):
        table = label_table(labelled, what, sample)
        assert all(table[name].description for name in table.colnames)
        assert table.meta["bundle_sha256"] == labelled.provenance.bundle_hash


def test_an_unknown_table_is_refused(store):
    with pytest.raises(LabelError, match="no such table"):
        label_table(store, "everything")


@pytest.mark.parametrize("extension", ["ecsv", "csv", "vot"])
def test_an_export_comes_back_as_the_same_labels(labelled, sample, open_store, tmp_path, extension):
    data = encode_table(label_table(labelled, "labels", sample), extension)
    rows = read_rows(data, f".{extension}", "labels")
    assert plan_import(labelled, rows, sample=sample).words().startswith("0 new labels, 0 changed")
    for name in ("Ada", "Bo", "Cy"):
        for galaxy in [*labelled.layer(name).galaxies()]:
            for aspect in labelled.said(name, galaxy):
                labelled.record(name, [Change(galaxy, aspect)])
    plan = plan_import(labelled, rows, sample=sample)
    assert (plan.new, plan.refused) == (7, [])
    assert plan.apply(labelled) == 7
    assert labelled.said("Ada", "g1")["stage"].label == "T3"
    assert labelled.said("Ada", "g2")["note"].note == "dust, see “Plate 3”"


@pytest.mark.parametrize("what", ["labels", "majority", "events"])
def test_every_table_is_a_valid_votable_and_a_fits_of_all_alphabets(
    labelled, sample, tmp_path, what
):
    labelled.record("Åsa α", [Change("g4", "note", note="näher?")])
    made = label_table(labelled, what, sample)
    (tmp_path / "t.vot").write_bytes(encode_table(made, "vot"))
    said = io.StringIO()
    assert validate(str(tmp_path / "t.vot"), said), said.getvalue()
    back = decode_table(encode_table(made, "fits"), "fits")
    assert changed_column(made, back) == ""


@pytest.mark.parametrize("extension", ["csv", "fits"])
def test_escaped_labels_come_back_by_import(labelled, extension):
    labelled.record("=Åsa", [Change("g4", "note", note="+ näher")])
    data = encode_table(label_table(labelled), extension)
    rows = read_rows(data, f".{extension}", "mine")
    assert ("=Åsa", "+ näher") in [(row["annotator"], row["note"]) for row in rows]


@pytest.mark.parametrize("extension", list(OUT))
def test_an_empty_log_exports_an_empty_table(store, sample, extension):
    table = label_table(store, "labels", sample)
    assert len(decode_table(encode_table(table, extension), extension)) == 0


CSV = b"""objid,ttype,bar,Features,note,confidence
g1,3.4,1,ring,,low
g2,Sb,0,,so it is,
g3,-5,no,,,
g4,,,artefact;unsure,,
g5,banana,,,,
elsewhere,1,,,,
g6,1,maybe,,,
g7,nan,,,,
"""


def test_a_table_of_ones_own_is_understood_and_each_refusal_has_its_line(store, sample):
    plan = plan_import(store, read_rows(CSV, ".csv", "m.csv"), annotator="Ada", sample=sample)
    assert [line for line, _ in plan.refused] == [6, 7, 8]
    assert store.events() == [], "a dry run"
    plan.apply(store)
    said = {galaxy: {a: v.text(a) for a, v in values.items()}
            for galaxy, values in store.layer("Ada").galaxies().items()}  # fmt: skip
    assert said == {
        "g1": {"stage": "T3", "ring": "ring", "bar": "bar"},
        "g2": {"stage": "T3", "note": "so it is"},
        "g3": {"stage": "T-3"},
        "g4": {"artefact": "artefact", "unsure": "unsure"},
    }
    again = plan_import(store, read_rows(CSV, ".csv", "m.csv"), annotator="Ada", sample=sample)
    assert (len(again.lines), again.same) == (0, 8)


def test_an_import_says_what_it_would_change(store, sample):
    store.record("Ada", [Change("g1", "stage", "T5")])
    rows = read_rows(b"id,stage\ng1,T2\ng2,T2\n", ".csv", "m.csv")
    plan = plan_import(store, rows, annotator="Ada", sample=sample)
    assert plan.lines == [
        (2, "g1", "Ada", "stage", "T5", "T2"),
        (3, "g2", "Ada", "stage", "", "T2"),
    ]
    assert plan.new == 1


@pytest.mark.parametrize(
    ("data", "suffix", "reason"),
    [
        (b"a,b\n1,2\n", ".csv", "identifier"),
        (b"id,b\n1,2\n", ".csv", "no column of labels"),
        (b"\xff\xfe", ".csv", "cannot be read"),
        (b"id,stage\n1,2\n", ".exe", "extension"),
        (b"SIMPLE  = nonsense", ".fits", "cannot be read"),
        (b"<VOTABLE>", ".vot", "cannot be read"),
        (b"id,stage\n", ".ecsv", "cannot be read"),
    ],
)
def test_a_table_without_labels_is_refused_with_the_reason(store, data, suffix, reason):
    with pytest.raises(LabelError, match=reason):
        plan_import(store, read_rows(data, suffix, "mine"), annotator="Ada")


def test_flags_are_no_labels_and_types_are(store):
    data = b"id;T;note\ng1;-999;kept\ng2;99;\ng3;SB(s)bc;\ng4;NA;\ng5;Pec;\ng6;7.2;\n"
    plan = plan_import(store, read_rows(data, ".csv", "m.csv"), annotator="Ada")
    assert [(line, after) for line, *_, after in plan.lines] == [
        (2, "kept"), (4, "T4"), (7, "T6")]  # fmt: skip
    assert plan.flags == {"-999": 1, "99": 1, "Pec": 1}
    assert (
        "3 values outside -6..11 or without a stage taken as unknown: -999, 99, Pec" in plan.words()
    )


def test_ids_of_labels_to_the_last_digit():
    table = Table({"id": np.array([2**64 - 1, 2**63], np.uint64), "t": [1.0, np.nan]})
    rows = read_rows(encoded(table), ".fits", "m.fits")
    assert rows == [{"id": str(2**64 - 1), "t": "1.0"}, {"id": str(2**63), "t": ""}]
    table["id"] = [7.0, 8.0]
    assert [row["id"] for row in read_rows(encoded(table), ".fits", "m.fits")] == ["7", "8"]
    table["id"] = [5.87e17, 8.0]
    with pytest.raises(LabelError, match=r"m.fits: the id column 'id' holds float"):
        read_rows(encoded(table), ".fits", "m.fits")


def encoded(table):
    buffer = io.BytesIO()
    table.write(buffer, format="fits")
    return buffer.getvalue()


def test_without_a_name_a_row_is_refused(store):
    plan = plan_import(store, read_rows(b"id,stage\ng1,T2\n", ".csv", "m.csv"))
    assert "annotator" in plan.refused[0][1]


def test_the_log_lies_in_the_users_data_folder_unless_named(tmp_path):
    assert log_path(str(tmp_path / "l.db")) == tmp_path / "l.db"
    assert log_path("").name == "labels.db"
    assert set(FORMATS) >= {".csv", ".ecsv", ".fits", ".vot"}


def test_two_rows_that_contradict_each_other_are_not_both_taken(store, sample):
    data = b"id,stage,note\ng1,T3,\ng1,T5,\ng2,T2,\ng2,T2,seen\n"
    plan = plan_import(store, read_rows(data, ".csv", "m.csv"), annotator="Ada", sample=sample)
    assert [(line, after) for line, *_, after in plan.lines] == [(2, "T3"), (4, "T2"), (5, "seen")]
    (refused,) = plan.refused
    assert refused == (3, "galaxy g1: stage T5, in line 2 T3; keep one of the two")
    assert plan.same == 1
