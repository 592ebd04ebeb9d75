"""One task of an encoding: the galaxies of a shard become a part, whole or absent.

Models are opened once a process. Nothing depends on which worker does a shard, or when.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from galaxy_explorer.bundle import Bundle
from galaxy_explorer.bundle.placing import Choice, StampReadings, needs_orbit, read_stamps
from galaxy_explorer.clustering.embedding import PLACED_BY
from galaxy_explorer.encoding.plan import PartTask, stretch_of
from galaxy_explorer.errors import SurveyError
from galaxy_explorer.utils.files import atomic_path

BLOCK_ROWS = 256
FACTS = b"facts"
UNUSUAL, WORDS, FILLED = "unusual", "out_of_distribution", "frame_filled"
DISTANCE = "distance_percentile"


def encode_shard(shard: PartTask) -> dict[str, Any]:
    """Encode the galaxies of a shard, write their part, and return its facts.

    Raises BundleError or SurveyError where the worker finds others than were meant.
    """
    plan = shard.plan
    bundle, survey = plan.bundle.opened(), plan.survey.opened()
    blocks = []
    with threadpool_limits(1):  # sums depend on how many threads share them
        for start in range(shard.start, shard.stop, BLOCK_ROWS):
            stop = min(start + BLOCK_ROWS, shard.stop)
            stamps = survey.block(start, stop, stretch_of(bundle))
            read = read_stamps(bundle, stamps, plan.choice)
            blocks.append(result_table(bundle, plan.choice, read))
    results = pa.concat_tables(blocks).combine_chunks()
    known = survey.table(shard.start, shard.stop)
    names = [name for name in known.column_names if name not in results.column_names]
    fields = [*(field_with_words(known.schema.field(name)) for name in names), *results.schema]
    columns = [*(known[name].combine_chunks() for name in names), *results.columns]
    facts = facts_of(plan.choice, results)
    schema = pa.schema(fields, metadata={FACTS: json.dumps(facts).encode()})
    with atomic_path(shard.path) as temporary:
        table = pa.table(columns, schema=schema)
        pq.write_table(table, temporary, compression="zstd")
    return facts


def facts_of(choice: Choice, results: pa.Table) -> dict[str, Any]:
    """What the summary adds up: galaxies, unusual ones, members of each cluster by its number."""
    clusters = {}
    for key in choice.clusterings:
        numbers, counts = np.unique(results[f"{key}/cluster"].to_numpy(), return_counts=True)
        clusters[key] = {str(number): int(n) for number, n in zip(numbers, counts, strict=True)}
    unusual = int(results[UNUSUAL].to_numpy().sum())
    return {"galaxies": results.num_rows, "unusual": unusual, "clusters": clusters}


def stored_facts(path: Path) -> dict[str, Any]:
    """The facts of a part that is there. Raises SurveyError for a file that is no part."""
    try:
        found = pq.read_schema(path).metadata or {}
        facts: dict[str, Any] = json.loads(found[FACTS])
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise SurveyError(f"{path}: damaged ({error}); remove it, it is made again") from error
    return facts


POSITIONS = {
    "ra": ("deg", "right ascension, ICRS"),
    "dec": ("deg", "declination, ICRS"),
    "ttype": ("", "Hubble stage T of the catalogue"),
    "redshift": ("", "redshift of the catalogue"),
}


def field_with_words(field: pa.Field) -> pa.Field:
    """A column of the catalogue with unit and description where they are known."""
    unit, words = POSITIONS.get(field.name, ("", "column of the survey's catalogue"))
    return _described(field, unit, words)


def _described(field: pa.Field, unit: str, words: str) -> pa.Field:
    return field.with_metadata({"unit": unit, "description": words})


def result_table(bundle: Bundle, choice: Choice, read: StampReadings) -> pa.Table:
    """What is found of n stamps, a column a number, each with its unit and what it is."""
    columns: list[tuple[pa.Field, pa.Array]] = []

    def add(name: str, values: NDArray[Any], words: str, unit: str = "") -> None:
        array = lists_of(values) if values.ndim > 1 else pa.array(values)
        columns.append((_described(pa.field(name, array.type), unit, words), array))

    verdicts = read.verdicts
    for name in choice.models:
        codes = read.codes[name]
        what = "code map, row by row" if codes.dtype.kind == "u" else "latents"
        add(f"{name}/codes", codes.reshape(len(codes), -1), what)
        error = read.errors[name].astype(np.float32)
        add(f"{name}/error", error, "mean squared error of the reconstruction", "stretched^2")
        values = np.array([verdict.percentiles[name] for verdict in verdicts], np.float32)
        words = "share of galaxies of as much detail and noise that are reconstructed better"
        add(f"{name}/percentile", values, words, "%")
    for key in choice.clusterings:
        found, best = read.placements[key], read.placements[key].shares.argmax(1)
        add(f"{key}/cluster", best.astype(np.int16), "most probable cluster")
        share = found.shares[np.arange(len(best)), best].astype(np.float32)
        add(f"{key}/responsibility", share, "its probability")
        for axis, values in zip("xy", found.places.T, strict=True):
            add(f"{key}/{axis}", np.ascontiguousarray(values), "place on the map of the bundle")
        words = f"mean distance to the {PLACED_BY} nearest galaxies of the bundle"
        add(f"{key}/neighbour_distance", found.distances, words, "of the features")
        if needs_orbit(bundle.clusterings[key]):  # else they are the codes or made of the latents
            add(f"{key}/features", found.features.astype(np.float16), "features of the clustering")
    unusual = np.array([verdict.unusual for verdict in verdicts], bool)
    add(UNUSUAL, unusual, "whether it is unlike the training galaxies")
    add(WORDS, np.array([v.words for v in verdicts], object), "the same in words, with the reason")
    far = np.array([verdict.distance for verdict in verdicts], np.float32)
    words = "share of galaxies like those of the training that are nearer to them in detail, noise,"
    add(DISTANCE, far, f"{words} light and extent", "%")
    filled = np.array([verdict.filled for verdict in verdicts], np.float32)
    add(FILLED, filled, "size in its frame over what is usual among the training galaxies")
    schema = pa.schema([field for field, _ in columns])
    return pa.table([array for _, array in columns], schema=schema)


def lists_of(values: NDArray[Any]) -> pa.Array:
    """Rows (n, F) as lists of F numbers."""
    flat = pa.array(np.ascontiguousarray(values).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
