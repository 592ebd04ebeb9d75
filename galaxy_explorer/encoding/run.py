"""A run over a whole survey: what is there is kept, the rest are tasks; then the account."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from galaxy_explorer.bundle import Bundle
from galaxy_explorer.bundle.placing import choose
from galaxy_explorer.encoding.hats_layout import check_positions, write_hats
from galaxy_explorer.encoding.parts import encode_shard, stored_facts
from galaxy_explorer.encoding.plan import (
    PARTS,
    SHARD_ROWS,
    EncodingPlan,
    PartTask,
    make_plan,
    misgivings,
)
from galaxy_explorer.errors import SettingError, SurveyError
from galaxy_explorer.survey.store import Survey
from galaxy_explorer.utils.files import atomic_write_text
from galaxy_explorer.utils.progress import progress
from galaxy_explorer.utils.scheduler import run_tasks

META = "encoding.json"
Layout = Literal["parts", "hats"]


@dataclass(frozen=True, repr=False)
class Encoding:
    """A survey as a bundle sees it, in a folder; `len` is the number of galaxies.

    path: the folder. meta: `encoding.json`: which bundle, models and survey, the columns with
    units, how many galaxies are unusual and in which cluster.

    >>> import galaxy_explorer as ge
    >>> made = ge.encode("trained/toy", "surveys/toy", "encoded/shown")
    >>> found = ge.Encoding.open("encoded/shown")
    >>> found.table(["galaxy_id", "unusual"]).num_rows == len(found)
    True
    """

    path: Path
    meta: dict[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> Encoding:
        """Open the folder of a finished encoding. Raises SurveyError where it is none."""
        at = Path(path) / META
        try:
            meta = json.loads(at.read_text(encoding="utf-8"))
            return cls(Path(path), {**meta, "galaxies": int(meta["galaxies"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SurveyError(
                f"{at}: no finished encoding ({error}); run galaxy-explorer encode"
            ) from None

    def __len__(self) -> int:
        return int(self.meta["galaxies"])

    def __repr__(self) -> str:
        about = ", ".join((*self.meta["models"], *self.meta["clusterings"]))
        return f"<Encoding {self.path}: {len(self):,} galaxies by {about}>"

    @property
    def files(self) -> list[Path]:
        """Its Parquet parts in the order of the survey."""
        return sorted((self.path / PARTS).glob("part-*.parquet"))

    @property
    def column_names(self) -> list[str]:
        """Names of the columns, in order."""
        return list(self.meta["columns"])

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """One part after the other, as pyarrow tables."""
        for file in self.files:
            yield pq.read_table(file, columns=None if columns is None else list(columns))

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All galaxies in one pyarrow table; name the columns where there are many galaxies."""
        return pa.concat_tables(self.tables(columns))

    def to_dict(self) -> dict[str, Any]:
        """What `encode --json` reports."""
        return {"out": str(self.path), "written": [str(self.path / META)], **self.meta}


def encode_survey(
    bundle: Bundle,
    survey: Survey,
    out: Path,
    *,
    models: Iterable[str] = (),
    scheduler: str | None = None,
    layout: Layout = "parts",
    rows: int = SHARD_ROWS,
    said: Callable[[str], object] = lambda _: None,
) -> Encoding:
    """Encode the galaxies of a survey into the folder `out`.

    models: as `placing.choose` takes them. scheduler: as `utils.scheduler`. layout: "hats" makes a
    catalogue of the parts besides, which LSDB opens. rows: galaxies a part. said: is told what is
    being done. Run again after an interruption, also a kill, only what is missing is made, and the
    result is the same.

    Raises SurveyError where the bundle cannot take the stamps, SettingError where `out` holds
    results of others, or positions are missing for a HATS catalogue.
    """
    if layout == "hats":
        check_positions(survey)
    plan = make_plan(bundle, survey, choose(bundle, models), out, rows)
    doubts = misgivings(bundle, survey)
    for words in (f"Encoding {plan.galaxies:,} galaxies: {plan.choice.words}", *doubts):
        said(words)
    folder = out / PARTS
    folder.mkdir(parents=True, exist_ok=True)
    expected = {shard.name for shard in plan.shards()}
    there = {path.name for path in folder.glob("part-*.parquet")}
    if others := sorted(there - expected):
        raise SettingError(
            f"--out {out}: {PARTS}/{others[0]} is of another bundle, model or survey, as are"
            f" {len(others) - 1} others; name another folder, or remove that one"
        )
    missing = plan.galaxies - sum(len(s) for s in plan.shards() if s.name in there)
    if missing < plan.galaxies:
        said(f"{plan.galaxies - missing:,} were encoded before")
    tasks = run_tasks(
        encode_shard,
        (shard for shard in plan.shards() if shard.name not in there),
        scheduler=scheduler,
        total=missing,
        words="Encoding",
        weigh=len,
    )
    for _ in tasks:
        pass
    for stale in folder.glob(".part-*"):  # of workers that were killed
        stale.unlink(missing_ok=True)
    meta = _account(plan, bundle, survey, doubts)
    atomic_write_text(out / META, json.dumps(meta, indent=1, ensure_ascii=False) + "\n")
    made = Encoding(out, meta)
    if layout == "hats":
        write_hats(made.files, out, name=f"{survey.meta['name']}_{bundle.name}")
    return made


def _account(
    plan: EncodingPlan, bundle: Bundle, survey: Survey, doubts: Sequence[str]
) -> dict[str, Any]:
    """What `encoding.json` says; the same whatever interrupted the run."""
    last: PartTask | None = None
    unusual = 0
    counts: dict[str, dict[str, int]] = {key: {} for key in plan.choice.clusterings}
    with progress(plan.galaxies, "Adding up", after=2) as advance:
        for shard in plan.shards():
            facts, last = stored_facts(shard.path), shard
            unusual += facts["unusual"]
            for key, found in facts["clusters"].items():
                for number, n in found.items():
                    counts[key][number] = counts[key].get(number, 0) + n
            advance(len(shard))
    if last is None:
        raise SurveyError(f"{survey.path}: holds no galaxy")
    columns = {
        field.name: {
            "type": str(field.type),
            **{name.decode(): text.decode() for name, text in (field.metadata or {}).items()},
        }
        for field in pq.read_schema(last.path)
    }
    names = {key: bundle.cluster_names(key) for key in plan.choice.clusterings}
    return {
        **plan.decisive,
        "bundle": bundle.name,
        "survey": survey.meta["name"],
        "models": list(plan.choice.models),
        "clusterings": {
            key: [
                {"cluster": i, "name": one.name, "galaxies": counts[key].get(str(i), 0)}
                for i, one in enumerate(names[key])
            ]
            for key in plan.choice.clusterings
        },
        "unusual": unusual,
        "misgivings": list(doubts),
        "columns": columns,
    }
