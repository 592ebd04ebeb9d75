"""JSON of a bundle: what is refused is named, what is written again stays the same to the byte."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta, Struct, field, to_builtins

from galaxy_explorer import load_bundle
from galaxy_explorer.bundle import add_files, json_values
from galaxy_explorer.bundle.json_values import FieldError, build
from galaxy_explorer.bundle.manifest import ExtraTraining
from tests.small_bundle import write_small_bundle


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    size: Annotated[int, Meta(ge=0, le=9)]
    figures: dict[str, tuple[float, ...]] = {}


class Whole(Struct, frozen=True, forbid_unknown_fields=True):
    parts: dict[str, Part]
    early_stop_step: int | None = field(default=None, name="rule_step")


GOOD = {"a.b": {"size": 1}, "c[0]/d": {"size": 2, "figures": {"x": [1, 2], "y.z": [0.5]}}}


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("a.b", {"size": 10}, "parts.a.b.size: Expected `int` <= 9"),
        ("c[0]/d", {"size": True}, "parts.c[0]/d.size: Expected `int`, got `bool`"),
        ("c[0]/d", {"size": 1, "more": 2}, "parts.c[0]/d.more: is unknown"),
        ("late", {}, "parts.late.size: is missing"),
        ("late", 3, "parts.late: Expected `object`, got `int`"),
        ("late", {"size": 1, "figures": {"u": [], "v": [1, None]}}, "parts.late.figures.v[1]: "),
    ],
)
def test_the_wrong_field_is_named_with_the_keys_on_its_way(name, change, said):
    with pytest.raises(FieldError) as caught:
        build({"parts": {**GOOD, name: change}}, Whole)
    assert str(caught.value).startswith(said)


def test_fields_go_by_the_key_that_they_have_on_disk():
    assert build({"parts": GOOD, "rule_step": 3}, Whole).early_stop_step == 3
    with pytest.raises(FieldError, match="early_stop_step: is unknown"):
        build({"parts": GOOD, "early_stop_step": 3}, Whole)
    with pytest.raises(FieldError, match="rule_step: "):
        build({"parts": GOOD, "rule_step": 0.5}, Whole)


@pytest.mark.parametrize("name", [" - at `$.parts[...].size`", " - at `$[...][...]`", "`", ""])
def test_a_name_that_looks_like_a_place_misleads_nobody(name):
    with pytest.raises(FieldError, match="unknown"):
        build({"parts": GOOD, name: 1}, Whole)


def test_one_wrong_entry_of_many_is_found_in_few_steps(monkeypatch):
    asked = []
    refusal = json_values._refusal
    monkeypatch.setattr(json_values, "_refusal", lambda *args: asked.append(1) or refusal(*args))
    parts = {f"part-{number}": {"size": 1} for number in range(100_000)}
    with pytest.raises(FieldError, match=r"part-99990\.size"):
        build({"parts": {**parts, "part-99990": {"size": 99}}}, Whole)
    assert len(asked) < 30


def test_what_is_refused_is_not_quoted_at_length():
    with pytest.raises(FieldError) as caught:
        build({"parts": GOOD, "x" * 10_000_000: 1}, Whole)
    assert len(str(caught.value)) < 1000


def test_a_bundle_written_again_is_the_same_to_the_byte(tmp_path: Path):
    first = write_small_bundle(tmp_path / "first", n=60)
    values = json.loads((first / "manifest.json").read_text())
    again = shutil.copytree(first, tmp_path / "again")
    card = load_bundle(again).card
    add_files(again, {}, lambda _: card)
    for file in sorted(path.name for path in first.iterdir()):
        assert (again / file).read_bytes() == (first / file).read_bytes(), file
    assert list(values["models"]["convae-conv"])[:2] == ["kind", "config"]


def test_a_training_is_written_as_it_was_read():
    training = {"steps": 60, "best_step": 57, "rule_step": None, "seconds": 3.5}
    figures = {"metrics": {"nmse": 0.02, "n_test": 20}, "curve": [{"step": 3.0, "nmse": 1}]}
    named = {"name": "k16-modern-8x8", "kind": "vqvae", "config": {"map_size": 8}}
    stored = {**named, **training, **figures, "seed": 1}
    assert json.dumps(to_builtins(build(stored, ExtraTraining))) == json.dumps(stored)


def test_what_a_manifest_says_beside_its_known_fields_is_kept(tmp_path: Path):
    path = write_small_bundle(tmp_path / "bundle", n=60)
    before = json.loads((path / "manifest.json").read_text())
    before["survey"]["observer"] = {"name": "E. Hubble"}
    from tests.attacks.bundle_tools import reseal

    reseal(path, before)
    add_files(path, {"notes.json": b"{}"}, lambda m: f"# {m.name}, {len(m.files)} files\n")
    after = json.loads((path / "manifest.json").read_text())
    assert after["survey"] == before["survey"]
    assert load_bundle(path).card == f"# bundle, {len(after['files'])} files\n"
    assert list(after["files"]) == sorted(after["files"])


def test_a_bundle_is_shown_in_a_line(tmp_path: Path):
    bundle = load_bundle(write_small_bundle(tmp_path / "sky", n=60))
    assert repr(bundle) == f"Bundle('sky', 60 galaxies, 5 models, hash {bundle.hash[:8]}...)"
