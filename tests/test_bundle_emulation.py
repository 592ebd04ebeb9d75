from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from galaxy_explorer import load_bundle
from galaxy_explorer.bundle.emulation import EMULATION, VERDICTS, parse_emulation
from galaxy_explorer.bundle.writer import add_files
from galaxy_explorer.errors import BundleError
from tests.small_bundle import write_small_bundle
from tests.small_emulation import small_emulation
from tests.test_bundle_evaluation import put

PATH = Path("somewhere/emulation.json")


@pytest.fixture
def values() -> dict:
    return json.loads(small_emulation().to_bytes())


def test_what_is_written_is_read(values):
    assert parse_emulation(values, PATH) == small_emulation()


def test_what_is_beside_it_is_read_and_may_be_absent(values):
    """Files of before have no word of other priors, and none is written where there is none."""
    assert "others" not in values
    beside = small_emulation(beside=True)
    assert parse_emulation(json.loads(beside.to_bytes()), PATH) == beside
    assert beside.others[0].model == "convae-conv"


def test_slopes_of_before_have_no_corrected_p(values):
    for trend in values["trends"]:
        del trend["p_holm"]
    found = parse_emulation(values, PATH).trend("gini", "sample")
    assert (found.p_holm, found.format_p) == (None, "")
    assert small_emulation().trend("gini", "sample").format_p == "< 1e-6"
    assert small_emulation().trend("gini", "control").format_p == "1"


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("others", {}, "others"),
        ("others.0.figures.2.verdict", "good", r"others\[0\].figures\[2\].verdict"),
        ("others.0.others", [], r"others\[0\].others"),
        ("others.0.trends.0.means", [1.0], r"others\[0\].trends\[0\].means"),
    ],
)
def test_the_wrong_field_beside_it_is_named(path, value, named):
    values = json.loads(small_emulation(beside=True).to_bytes())
    put(values, path, value)
    with pytest.raises(BundleError, match=rf"emulation.json: {named}: .*--emulator again"):
        parse_emulation(values, PATH)


def test_a_bundle_keeps_it(tmp_path):
    path = write_small_bundle(tmp_path / "sky", n=60)
    assert load_bundle(path).emulation is None
    add_files(path, {EMULATION: small_emulation().to_bytes()}, lambda _: "card\n")
    assert load_bundle(path).emulation == small_emulation()
    broken = small_emulation().to_bytes().replace(b'"within error"', b'"perfect"')
    add_files(path, {EMULATION: broken}, lambda _: "card\n")
    with pytest.raises(BundleError, match=r"emulation.json: figures\[6\].verdict"):
        load_bundle(path)


def test_the_small_one_has_every_verdict():
    assert {figure.verdict for figure in small_emulation().figures} == set(VERDICTS)


def test_trends_and_histograms_by_name():
    emulation = small_emulation()
    assert emulation.trend("gini", "control").slope == 0
    assert emulation.trend("gini", "nothing") is None
    assert emulation.histogram("gini").statistic == "gini"
    assert emulation.histogram("m20") is None


def test_a_number_that_is_none_is_not_written():
    with pytest.raises(ValueError, match="JSON"):
        replace(small_emulation(), guidance=float("nan")).to_bytes()


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("format", 2, "format"),
        ("model", None, "model"),
        ("figures.0.value", "1", r"figures\[0\].value"),
        ("figures.1.n", 2.5, r"figures\[1\].n"),
        ("figures.2.verdict", "good", r"figures\[2\].verdict"),
        ("figures.2.group", "beauty", r"figures\[2\].group"),
        ("figures.2.extra", 1, r"figures\[2\].extra"),
        ("trends.3.kind", "dream", r"trends\[3\].kind"),
        ("trends.0.means", [1.0], r"trends\[0\].means"),
        ("trends.2.p_holm", "0", r"trends\[2\].p_holm"),
        ("trends.0.counts.4", -0.5, r"trends\[0\].counts\[4\]"),
        ("histograms.0.edges", [0, 1], r"histograms\[0\]"),
        ("histograms.1.shares.real", 3, r"histograms\[1\].shares.real"),
        ("curve.0.judged", True, r"curve\[0\].judged"),
        ("settings.survey", "x" * 5000, "settings.survey"),
        ("guidance", [], "guidance"),
    ],
)
def test_the_wrong_field_is_named(values, path, value, named):
    put(values, path, value)
    with pytest.raises(BundleError, match=rf"emulation.json: {named}: .*--emulator again"):
        parse_emulation(values, PATH)


@pytest.mark.parametrize("field", ["figures", "trends", "curve", "guidance_rule", "model"])
def test_a_missing_field_is_named(values, field):
    del values[field]
    with pytest.raises(BundleError, match=field):
        parse_emulation(values, PATH)
