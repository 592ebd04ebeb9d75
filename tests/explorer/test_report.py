"""The report of a bundle: whole, self-contained, without a script, with escaped text."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.explorer.export.report import POLICY, histogram_svg, number, report
from tests.explorer.fakes import drawn

VOID = {"meta", "img", "br", "rect", "line"}


class Reader(HTMLParser):
    """Tags with their attributes, the text, and whether every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page(bundle: Bundle):
    patch = pytest.MonkeyPatch()
    patch.setattr(Bundle, "decode", lambda _, model, rows: drawn(rows, model))
    ids = bundle.column("galaxy_id").copy().astype("U80")
    ids[:] = '"><script>alert(1)</script>'
    patch.setitem(bundle.catalogue._columns, "galaxy_id", ids)
    steps: list[int] = []
    read = Reader()
    read.feed(report(bundle, None, steps.append))
    yield read, steps
    patch.undo()


def test_every_cluster_with_members_is_there_in_order_of_mean_t(bundle, page) -> None:
    read, steps = page
    clusters = bundle.clusterings[bundle.manifest.default_clustering].clusters
    filled = [cluster for cluster in clusters if cluster.count]
    assert len([tag for tag, given in read.tags if given.get("class") == "cluster"]) == len(filled)
    assert len(steps) == len(clusters)
    first = min((c for c in filled if c.n_ttype), key=lambda c: c.ttype_mean)
    assert read.text.index(f"Cluster {first.id}:") == read.text.index(
        "Cluster ", read.text.index("by the 95")
    )


def test_it_asks_for_nothing_and_runs_nothing(page) -> None:
    read, _ = page
    assert {tag for tag, _ in read.tags}.isdisjoint({"script", "link", "iframe", "object", "form"})
    for _, given in read.tags:
        assert not any(name.startswith("on") for name in given)
        for name in ("src", "href"):
            assert given.get(name, "data:").startswith("data:")
    assert any(given.get("content") == POLICY for _, given in read.tags)
    assert POLICY.startswith("default-src 'none'; ")
    assert "script" not in POLICY
    assert read.open == []


def test_it_names_the_bundle_the_models_and_the_paper(bundle, page) -> None:
    text = page[0].text
    assert bundle.hash in text
    assert "Cheng, T.-Y." in text
    assert "512 codes, modern, 16×16 map" in text
    assert "no survey pixels" in text


def test_bars_are_as_high_as_the_counts_say(bundle) -> None:
    cluster = bundle.clusterings[bundle.manifest.default_clustering].clusters[3]
    read = Reader()
    read.feed(histogram_svg(cluster))
    heights = np.array([float(given["height"]) for tag, given in read.tags if tag == "rect"])
    counts = np.array(cluster.histogram)
    np.testing.assert_allclose(heights, 44 * counts / counts.max(), atol=0.06)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (float("nan"), "–"), (-0.5, "−0.5"), (0.123456, "0.1235")]
)
def test_numbers(value, text) -> None:
    assert number(value) == text
