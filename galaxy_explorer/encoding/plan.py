"""What is encoded by what, shard by shard; a part of the result is named after what decides it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from galaxy_explorer.bundle import Bundle, SharedBundle
from galaxy_explorer.bundle.placing import Choice
from galaxy_explorer.errors import SurveyError
from galaxy_explorer.settings import VERSION
from galaxy_explorer.survey.photometry import bands_of
from galaxy_explorer.survey.preprocessing import ArcsinhStretch
from galaxy_explorer.survey.scales import same_scale
from galaxy_explorer.survey.store import CATALOG, SharedSurvey, Survey
from galaxy_explorer.utils.files import sha256_of

FORMAT = 2
SHARD_ROWS = 4096
PARTS = "parts"


@dataclass(frozen=True)
class EncodingPlan:
    """Everything that a worker needs: folders, their hashes, what is computed.

    catalog: SHA-256 of the survey's catalogue, whose columns are copied. out: an absolute path,
    which all workers must see. rows: galaxies a shard.
    """

    bundle: SharedBundle
    survey: SharedSurvey
    catalog: str
    galaxies: int
    choice: Choice
    out: str
    rows: int

    @property
    def decisive(self) -> dict[str, Any]:
        """What decides the result, as JSON values."""
        return {
            "format": FORMAT,
            "software": VERSION,
            "bundle_sha256": self.bundle.sha256,
            "fingerprint": self.survey.fingerprint,
            "catalog": self.catalog,
            "galaxies": self.galaxies,
            "rows": self.rows,
            **asdict(self.choice),
        }

    def shards(self) -> Iterator[PartTask]:
        """All shards in the order of the survey."""
        text = json.dumps(self.decisive, sort_keys=True)
        for number, start in enumerate(range(0, self.galaxies, self.rows)):
            stop = min(start + self.rows, self.galaxies)
            digest = hashlib.sha256(f"{text}{start}-{stop}".encode()).hexdigest()[:16]
            yield PartTask(self, start, stop, f"part-{number:07d}-{digest}.parquet")


@dataclass(frozen=True)
class PartTask:
    """Galaxies from `start` to before `stop` of the survey, and the name of their part."""

    plan: EncodingPlan
    start: int
    stop: int
    name: str

    @property
    def path(self) -> Path:
        """Where its part is, or will be."""
        return Path(self.plan.out) / PARTS / self.name

    def __len__(self) -> int:
        return self.stop - self.start


def make_plan(bundle: Bundle, survey: Survey, choice: Choice, out: Path, rows: int) -> EncodingPlan:
    """The plan of an encoding. Raises SurveyError where the bundle cannot take the stamps."""
    ours, theirs = bundle.manifest.survey, survey.meta
    shapes = [(ours.channels, ours.stamp_size), (theirs["channels"], theirs["stamp_size"])]
    if shapes[0] != shapes[1]:
        bundle_words, survey_words = (f"{c} band{'s' * (c != 1)} of {s} px" for c, s in shapes)
        raise SurveyError(
            f"{survey.path}: stamps in {survey_words}, {bundle.path} takes {bundle_words}; ingest"
            f" the pictures again with --size {ours.stamp_size} and as many bands"
        )
    return EncodingPlan(
        bundle=SharedBundle.of(bundle),
        survey=SharedSurvey.of(survey),
        catalog=sha256_of(survey.path / CATALOG),
        galaxies=len(survey),
        choice=choice,
        out=str(out.resolve()),
        rows=rows,
    )


def misgivings(bundle: Bundle, survey: Survey) -> list[str]:
    """Why the galaxies of a survey may look other to a bundle than its own, in words."""
    ours, theirs = bundle.manifest.survey, survey.meta
    if ours.fingerprint == theirs["fingerprint"]:
        return []
    found = []
    bands = theirs.get("band") or ""
    if ours.band and bands and bands_of(ours.band) != bands_of(bands):
        found.append(f"the bundle was trained in the band {ours.band}, the survey is in {bands}")
    its, own = theirs.get("pixel_scale_arcsec"), ours.pixel_scale_arcsec
    if its and own and not same_scale(its, own):
        found.append(f"a pixel of the survey has {its:.4g} arcsec, one of the bundle {own:.4g}")
    if ours.frame != theirs.get("frame", ""):
        framed = "framed by their measured size"
        whose = "the bundle's" if ours.frame else "the survey's"
        found.append(f"{whose} galaxies alone are {framed}: the sizes in the frame differ")
    states = (theirs["stretch"]["state"], ours.stretch.get("state"))
    if states == ("arcsinh", "linear"):
        found.append(
            "the survey's pictures came stretched, by a scale that is not known; the bundle's were"
            " linear"
        )
    return found


def stretch_of(bundle: Bundle) -> ArcsinhStretch:
    """The stretch that the models of a bundle have learnt with."""
    stored = bundle.manifest.survey.stretch
    return ArcsinhStretch(stored["softening"], stored["scale"], stored["pedestal"])
