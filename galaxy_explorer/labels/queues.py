"""Which galaxies may be labelled, the model's clusters of them, and in which order they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.labels.agreement import disagreements, ratings
from galaxy_explorer.labels.store import Annotations


@dataclass(frozen=True, eq=False)
class Sample:
    """Identifiers of N galaxies; clusters: clustering key -> cluster of each galaxy, (N,) ints."""

    ids: tuple[str, ...]
    clusters: Mapping[str, NDArray[np.integer]]

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each identifier."""
        return {galaxy: row for row, galaxy in enumerate(self.ids)}


UNLABELLED, UNCERTAIN, DISAGREEMENTS = "unlabelled", "uncertain", "disagreements"
SELECTED, EVERYTHING = "selection", "everything"
QUEUES = (UNLABELLED, UNCERTAIN, DISAGREEMENTS, SELECTED, EVERYTHING)
SHUFFLE_SEED = 2019


def unlabelled(sample: Sample, layer: Annotations) -> NDArray[np.int64]:
    """Rows that the annotator has given no label of their own, shuffled.

    The order is the same for everyone: what is done so far is a fair sample of the galaxies, and
    annotators meet on the same ones.
    """
    order = np.random.default_rng(SHUFFLE_SEED).permutation(len(sample.ids))
    done = layer.galaxies()
    return np.array([row for row in order if sample.ids[row] not in done], np.int64)


def uncertain(sample: Sample, layer: Annotations, responsibility: ArrayLike) -> NDArray[np.int64]:
    """Rows without a label of their own, the least certain of their cluster first.

    responsibility (N,): probability of the cluster that the model gives each galaxy.
    """
    order = np.argsort(np.asarray(responsibility), kind="stable")
    done = layer.galaxies()
    return np.array([row for row in order if sample.ids[row] not in done], np.int64)


def disputed(
    sample: Sample, layers: Mapping[str, Annotations], order: Sequence[str]
) -> NDArray[np.int64]:
    """Rows whose stages differ between annotators, the widest apart in `order` first."""
    galaxies = disagreements(ratings(layers), order)
    rows = [sample.rows[galaxy] for galaxy in galaxies if galaxy in sample.rows]
    return np.array(rows, np.int64)
