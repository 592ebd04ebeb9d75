"""Galaxies that are there twice: in one survey, in two, or in two renderings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage, SurveyError
from galaxy_explorer.survey.names import SeenNames
from galaxy_explorer.survey.photometry import ToneMap, fit_tone, tone_difference
from galaxy_explorer.survey.store import KEY_COLUMN, SAME_COLUMN, Survey, SurveySpec

FEWEST_PAIRS = 50


class SameGalaxies:
    """Which rows show one galaxy: all of them have one key, by which their split goes.

    The key is the id of the row that came first; rows that name each other, or the same galaxy of a
    survey that is not here, are one galaxy.
    """

    def __init__(self, sources: list[str], seen: SeenNames) -> None:
        """sources: names of the survey's sources, that of the rows to come last; seen: its ids."""
        self._sources, self._seen = sources, seen
        self._keys: dict[str, str] = {}  # by id or name, of all whose key is not their own

    def remember(self, galaxy_id: str, same_as: str, key: str) -> None:
        """Of a row: what it is the same as ("" for nothing), and its key."""
        for name in (galaxy_id, self._name(same_as)):
            if name not in ("", key):
                self._keys[name] = key

    def key(self, galaxy_id: str, same_as: str) -> str:
        """The key of the next row; same_as: "" or the id of another, SOURCE:ID where it needs it.

        Raises BadImage where two galaxies that are in the survey already would have to be one.
        """
        names = (galaxy_id, f"{self._sources[-1]}:{galaxy_id}")
        own = next((self._keys[name] for name in names if name in self._keys), None)
        other = self._name(same_as)
        there = self._keys.get(other, other if other in self._seen else None)
        if other and own and there and own != there:
            raise BadImage(
                "catalogue",
                f"is the same galaxy as {same_as}, and earlier rows are the same as this one: both"
                " have their split already; ingest this source first",
            )
        key = own or (there if other else None) or galaxy_id
        self.remember(galaxy_id, same_as, key)
        return key

    def holds(self, same_as: str) -> bool:
        """Whether the row that another one names is there."""
        return self._name(same_as) in self._seen

    def _name(self, same_as: str) -> str:
        """The id itself where the source is one of the survey's."""
        source, _, rest = same_as.partition(":")
        return rest if rest and source in self._sources else same_as


MATCH_ARCSEC = 3.0


class Repeats(NamedTuple):
    """Galaxies that two surveys have in common.

    rows (M, 2): of the one and of the other survey, each at most once. words: how they were found.
    """

    rows: NDArray[np.int64]
    words: str


def shared_galaxies(one: Survey, other: Survey) -> Repeats:
    """Galaxies that are in both surveys; of one survey with itself, those that are in it twice.

    They are found by id, within one survey by the key that rows of one galaxy share; by `same_as`,
    which names the id of the other one, perhaps with its catalogue before a colon; else by
    position, where both have it: the nearest of each other, at most 3 arcsec apart, which is not
    tried within one survey.
    """
    mine, theirs = (survey.column("galaxy_id") for survey in (one, other))
    found: dict[int, int] = {}
    taken: set[int] = set()

    def add(pairs: Iterable[tuple[int, int]]) -> int:
        before = len(found)
        for i, j in pairs:
            if i not in found and j not in taken and not (one is other and i in taken):
                found[i] = j
                taken.add(j)
        return len(found) - before

    row_of = {name: row for row, name in enumerate(mine)}
    words = []
    if one is other:
        by_name = add(_keyed(one)) + add(_named(row_of, one))
    else:
        by_id = add((row_of[n], j) for j, n in enumerate(theirs) if n in row_of)
        words.append(f"{by_id:,} by id")
        their_row = {name: row for row, name in enumerate(theirs)}
        by_name = add(_named(row_of, other)) + add((i, j) for j, i in _named(their_row, one))
    words.append(f"{by_name:,} by {SAME_COLUMN}")
    if one is not other and all({"ra", "dec"} <= set(s.column_names) for s in (one, other)):
        words.append(f"{add(_near(one, other)):,} by position")
    pairs = np.array(sorted(found.items()), np.int64).reshape(-1, 2)
    return Repeats(pairs, ", ".join(words))


def _keyed(survey: Survey) -> list[tuple[int, int]]:
    """Rows whose galaxy an earlier row shows, each after the first one."""
    if KEY_COLUMN not in survey.column_names:
        return []
    first: dict[str, int] = {}
    keys = survey.column(KEY_COLUMN)
    names = np.where(keys == "", survey.column("galaxy_id"), keys).tolist()
    return [
        (there, row)
        for row, name in enumerate(names)
        if (there := first.setdefault(name, row)) != row
    ]


def _named(row_of: Mapping[str, int], survey: Survey) -> list[tuple[int, int]]:
    """Rows that a survey's `same_as` names, by id or by source and id, each with its own."""
    if SAME_COLUMN not in survey.column_names:
        return []
    found = []
    for row, text in enumerate(survey.column(SAME_COLUMN).tolist()):
        for name in (text.strip(), text.partition(":")[2].strip()):
            if name in row_of:
                found.append((row_of[name], row))
                break
    return found


def _near(one: Survey, other: Survey) -> list[tuple[int, int]]:
    """Rows of galaxies that are each other's nearest, at most MATCH_ARCSEC apart."""
    from scipy.spatial import cKDTree

    rows, points = [], []
    for survey in (one, other):
        ra, dec = (np.radians(survey.column(name).astype(float)) for name in ("ra", "dec"))
        known = np.flatnonzero(np.isfinite(ra + dec))
        unit = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
        rows.append(known)
        points.append(unit[known])
    if not all(map(len, rows)):
        return []
    reach = 2 * np.sin(np.radians(MATCH_ARCSEC / 3600) / 2)
    away, nearest = cKDTree(points[1]).query(points[0], distance_upper_bound=reach)
    _, back = cKDTree(points[0]).query(points[1])
    return [
        (int(rows[0][i]), int(rows[1][nearest[i]]))
        for i in np.flatnonzero(np.isfinite(away))
        if back[nearest[i]] == i
    ]


class SharedTone(NamedTuple):
    """What makes a source look like a survey, the pairs that it is learnt from and tested on.

    before, after: squared difference of smoothed stamps of `tested` pairs over their variance.
    """

    tone: ToneMap
    learnt: int
    tested: int
    before: float
    after: float

    def words(self, survey: Path) -> str:
        """For people."""
        return (
            f"rendered like {survey}: colours and tones learnt from {self.learnt} galaxies in both;"
            f" of {self.tested} others the difference is {self.after:.2f} of the variance,"
            f" {self.before:.2f} before"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `survey.json` keeps them."""
        return {**self._asdict(), "tone": self.tone.to_dict()}


def shared_tone(repeats: Path, out: Path, spec: SurveySpec) -> SharedTone:
    """Learn it from the pairs of the train split; the others test it.

    Raises SurveyError where the two are not alike or share too few galaxies.
    """
    if repeats.resolve() == out.resolve():
        raise SurveyError(
            f"{repeats}: is the survey that is appended to; give one of pictures rendered as those"
            " of the new source"
        )
    own, other = Survey.open(repeats), Survey.open(out)
    for field_name, wanted in (("stamp_size", spec.stamp_size), ("channels", spec.channels)):
        if own.meta[field_name] != wanted:
            words = f"{field_name} {own.meta[field_name]}, the new source has {wanted}"
            raise SurveyError(f"{repeats}: {words}; ingest it with the same options")
    if {own.meta["stretch"]["state"], spec.state} != {"arcsinh"}:
        raise SurveyError(f"{repeats}: linear flux has no rendering; leave --repeats out")
    shared = shared_galaxies(own, other)
    here, there = shared.rows.T
    train = other.column("split")[there] == "train"
    learnt, tested = int(train.sum()), int((~train).sum())
    if learnt < FEWEST_PAIRS or not tested:
        raise SurveyError(
            f"{repeats}: {learnt} galaxies of the train split of {out} and {tested} others are in"
            f" both ({shared.words}); at least {FEWEST_PAIRS} and one are needed; name them by"
            " --same-as"
        )
    pairs = [(own.stamps(here[part]), _rows(other, there[part])) for part in (train, ~train)]
    tone = fit_tone(*pairs[0])
    mine, theirs = pairs[1]
    differences = (tone_difference(stamps, theirs) for stamps in (mine, tone.apply(mine)))
    return SharedTone(tone, learnt, tested, *differences)


def _rows(survey: Survey, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Stamps in any order, which are read in that of the survey."""
    unique, places = np.unique(rows, return_inverse=True)
    return survey.stamps(unique)[places]
