"""How unusual a galaxy is for a bundle: one rule for `classify`, My galaxy and the odd ones out.

A model draws detail and noise badly, so its error alone tells fine spirals from smooth galaxies,
not the known from the unknown. The error is therefore compared with what galaxies of the same
detail, noise, brightness and extent usually have: its logarithm minus a quadratic function of
`survey.photometry.DETAIL`, fitted to the training galaxies. What is unlike them in those measures
(a star, a trail, an empty half) has no such galaxies to be compared with, and is told by its
distance from them; a galaxy that fills another part of its frame than they do by its size.

Each of the three is a percentile among the validation galaxies. A galaxy is unusual where the
largest is above a limit that NOMINAL of the validation galaxies pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as safetensors_bytes

from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.bundle.files import parse_arrays, verified_bytes
from galaxy_explorer.errors import BundleError
from galaxy_explorer.survey.photometry import DETAIL, detail_measures, rim_level
from galaxy_explorer.survey.preprocessing import frame_filled
from galaxy_explorer.survey.store import RowStamps, Survey

Floats = NDArray[np.float64]

NOVELTY = "novelty.safetensors"
NOMINAL = 0.01  # of the galaxies that are like those of the training
PERCENTS = np.concatenate([np.arange(0, 1, 0.1), np.arange(1, 99), np.arange(99, 100.05, 0.1)])
REACH = 4.0  # standard deviations: beyond them the usual error is that at the edge
SMALLER, LARGER = 0.7, 1.4  # times the usual share of the frame: worth another frame
SCALE_PERCENTILE = 99.0  # if so few training galaxies are as small or as large in theirs
FRAME_PART = "the part of its frame that the training galaxies fill"
FEWEST_TRAIN, FEWEST_HELD_OUT = 300, 100
PLAIN_PERCENTILE = 99.0
NOT_MEASURED = (
    "judged by the error alone, which flags fine detail too: galaxy-explorer evaluate teaches the"
    " bundle which error is usual"
)


@dataclass(frozen=True)
class Verdict:
    """How unusual one stamp is.

    reason: why it is unlike the training galaxies, "" if it is not. percentiles: of its error by
    model, distance: of its measures, among galaxies held out of the training. filled: how large it
    is in its frame over what is usual, NaN where that is not known; scale: what to say of that, ""
    where nothing.
    """

    reason: str
    percentiles: dict[str, float]
    distance: float = float("nan")
    filled: float = float("nan")
    scale: str = ""

    @property
    def unusual(self) -> bool:
        """Whether it is unlike the training galaxies."""
        return bool(self.reason)

    @property
    def words(self) -> str:
        """All of it, for the table of `classify`."""
        if self.reason:
            return f"yes: {self.reason}"
        return f"no, but it {self.scale}" if self.scale else "no"


@dataclass(frozen=True, eq=False)
class Novelty:
    """What is usual among the galaxies of a bundle.

    centre, spread (M,), precision (M, M): of the measures DETAIL of the training galaxies. sky:
    level of the rim of a stamp without light. usual_filled: median of `frame_filled`. limit: the
    percentile from which a galaxy is unusual. distances, fills: (P,) at PERCENTS. weights: (F,) by
    model, of the logarithm of the error; errors: (P,) by model, of what it leaves. known: by model
    the percentile of each galaxy of the bundle, (N,).
    """

    centre: Floats
    spread: Floats
    precision: Floats
    sky: float
    usual_filled: float
    limit: float
    distances: Floats
    fills: Floats
    weights: dict[str, Floats]
    errors: dict[str, Floats]
    known: dict[str, NDArray[np.float32]]

    def judge(
        self, stamps: NDArray[np.float32], errors: Mapping[str, NDArray[np.floating]]
    ) -> list[Verdict]:
        """Judge stamps (n, C, S, S) with the errors (n,) of each model on them."""
        measures = detail_measures(stamps)
        worse = {name: self.error_percentiles(name, measures, e) for name, e in errors.items()}
        filled = frame_filled(stamps, self.sky) / self.usual_filled
        far, places = self.distance_percentiles(measures), self.fill_percentiles(filled)
        found = []
        for i, (distance, size, place) in enumerate(
            zip(far.tolist(), filled.tolist(), places.tolist(), strict=True)
        ):
            by_model = {name: float(values[i]) for name, values in worse.items()}
            other = place > SCALE_PERCENTILE and not SMALLER < size < LARGER
            times = "twice" if 1.6 < size < 2.5 else "half" if 0.4 < size < 0.6 else ""
            scale = f"fills about {times or f'{size:.2g} times'} {FRAME_PART}"
            reason = scale if place > self.limit else self._reason(measures[i], by_model, distance)
            found.append(Verdict(reason, by_model, distance, size, scale if other else ""))
        return found

    def _reason(self, measures: Floats, worse: Mapping[str, float], distance: float) -> str:
        if distance > self.limit:
            off = (measures - self.centre) / self.spread
            most = int(np.abs(off).argmax())
            side = "more" if off[most] > 0 else "less"
            return (
                f"no training galaxy is like it in detail, noise, light and extent ({side}"
                f" {DETAIL[most]} than theirs, by {abs(off[most]):.1f} standard deviations)"
            )
        high = sum(value > self.limit for value in worse.values())
        if 2 * high < len(worse) or not high:
            return ""
        return (
            f"{high} of {len(worse)} models draw it worse than {self.limit:.1f} % of the galaxies"
            " of as much detail and noise"
        )

    def error_percentiles(
        self, model: str, measures: Floats, errors: NDArray[np.floating]
    ) -> Floats:
        """Share (n,) in % of held-out galaxies whose error is less above its usual one."""
        rest = log_error(errors) - self._terms(measures) @ self.weights[model]
        return np.asarray(np.interp(rest, self.errors[model], PERCENTS), np.float64)

    def distance_percentiles(self, measures: Floats) -> Floats:
        """Share (n,) in % of held-out galaxies that are nearer to the others by their measures."""
        far = distance_of(measures, self.centre, self.precision)
        return np.asarray(np.interp(far, self.distances, PERCENTS), np.float64)

    def fill_percentiles(self, filled: Floats) -> Floats:
        """Share (n,) in % of held-out galaxies whose size in the frame is nearer to the median."""
        place = np.interp(filled, self.fills, PERCENTS)
        return np.asarray(np.abs(2 * place - 100))

    def _terms(self, measures: Floats) -> Floats:
        return quadratic(np.clip((measures - self.centre) / self.spread, -REACH, REACH))

    def to_bytes(self) -> bytes:
        """As a file of the bundle."""
        numbers = {"sky": self.sky, "usual_filled": self.usual_filled, "limit": self.limit}
        arrays = {name: np.array([value]) for name, value in numbers.items()}
        names = ("centre", "spread", "precision", "distances", "fills")
        arrays |= {name: np.ascontiguousarray(getattr(self, name)) for name in names}
        for name in self.weights:
            arrays[f"{name}/weights"] = self.weights[name]
            arrays[f"{name}/errors"] = self.errors[name]
            arrays[f"{name}/known"] = self.known[name]
        return safetensors_bytes(arrays)


def log_error(errors: NDArray[np.floating]) -> Floats:
    """Natural logarithm of errors (n,), finite for 0."""
    return np.log(np.maximum(np.asarray(errors, np.float64), 1e-12))


def distance_of(measures: Floats, centre: Floats, precision: Floats) -> Floats:
    """Mahalanobis distance (n,) of measures (n, M) from a centre (M,)."""
    off = measures - centre
    return np.asarray(np.sqrt(np.einsum("ni,ij,nj->n", off, precision, off)))


def quadratic(values: Floats) -> Floats:
    """1, all values and all products of two (n, F) of values (n, M)."""
    low, high = np.triu_indices(values.shape[1])
    return np.hstack([np.ones((len(values), 1)), values, values[:, low] * values[:, high]])


def fit_novelty(bundle: Bundle, survey: Survey) -> Novelty | None:
    """What is usual among the galaxies of a bundle, by the stamps of its survey.

    Fitted to the train split, percentiles and limit from the validation split. None where either
    has too few galaxies. Raises BundleError where the survey has other galaxies.
    """
    split = bundle.column("split")
    train, held_out = (np.flatnonzero(split == name) for name in ("train", "validation"))
    if len(train) < FEWEST_TRAIN or len(held_out) < FEWEST_HELD_OUT:
        return None
    if not np.array_equal(bundle.column("galaxy_id"), survey.column("galaxy_id")):
        raise BundleError(f"{bundle.path}: {survey.path} has other galaxies")
    checked = RowStamps(survey, held_out)
    measures = RowStamps(survey, np.arange(len(bundle))).measured(detail_measures)
    sky = float(np.percentile(checked.measured(rim_level), 5))
    filled = checked.measured(lambda block: frame_filled(block, sky))
    usual = float(np.median(filled))
    centre, spread = measures[train].mean(0), np.maximum(measures[train].std(0), 1e-6)
    covariance = np.cov(measures[train].T) + np.diag(1e-6 * spread**2)
    logs = {name: log_error(bundle.column(f"{name}/error")) for name in bundle.models}
    terms = quadratic(np.clip((measures - centre) / spread, -REACH, REACH))
    square = terms[train].T @ terms[train] + np.eye(terms.shape[1])
    weights: dict[str, Floats] = {
        name: np.asarray(np.linalg.solve(square, terms[train].T @ values[train]), np.float64)
        for name, values in logs.items()
    }
    rest = {name: logs[name] - terms @ weights[name] for name in logs}
    precision = np.linalg.inv(covariance)
    far = distance_of(measures[held_out], centre, precision)
    found = Novelty(
        centre, spread, precision, sky, usual, 100.0,
        distances=np.percentile(far, PERCENTS), fills=np.percentile(filled / usual, PERCENTS),
        weights=weights, known={},
        errors={name: np.percentile(values[held_out], PERCENTS) for name, values in rest.items()},
    )  # fmt: skip
    far = found.distance_percentiles(measures)
    worse = {n: np.interp(rest[n], found.errors[n], PERCENTS) for n in rest}
    most = [found.fill_percentiles(filled / usual), far[held_out]]
    ranked = np.sort([values[held_out] for values in worse.values()], axis=0)
    most.append(ranked[len(ranked) // 2])  # which half of the models reach
    limit = float(np.percentile(np.max(most, axis=0), 100 * (1 - NOMINAL)))
    known = {n: np.maximum(values, far).astype(np.float32) for n, values in worse.items()}
    return Novelty(**{**vars(found), "limit": limit, "known": known})


@cache
def novelty_of(bundle: Bundle) -> Novelty | None:
    """What is usual among the galaxies of a bundle; None where it was never measured.

    Raises BundleError for a file that is damaged or of another bundle.
    """
    entry = bundle.manifest.files.get(NOVELTY)
    if entry is None:
        return None
    path = bundle.path / NOVELTY
    arrays = parse_arrays(verified_bytes(path, entry), path)
    _check(bundle, path, arrays)
    sky, usual_filled, limit = (float(arrays[n][0]) for n in ("sky", "usual_filled", "limit"))
    weights, errors, known = (
        {model: arrays[f"{model}/{about}"] for model in bundle.models}
        for about in ("weights", "errors", "known")
    )
    return Novelty(
        arrays["centre"], arrays["spread"], arrays["precision"], sky, usual_filled, limit,
        arrays["distances"], arrays["fills"], weights, errors, known,
    )  # fmt: skip


def _check(bundle: Bundle, path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    size, steps = len(DETAIL), len(PERCENTS)
    shapes: dict[str, tuple[int, ...]] = {
        **dict.fromkeys(("sky", "usual_filled", "limit"), (1,)),
        "centre": (size,),
        "spread": (size,),
        "precision": (size, size),
        **dict.fromkeys(("distances", "fills"), (steps,)),
    }
    for model in bundle.models:
        shapes[f"{model}/weights"] = (quadratic(np.zeros((1, size))).shape[1],)
        shapes[f"{model}/errors"], shapes[f"{model}/known"] = (steps,), (len(bundle),)
    for name, shape in shapes.items():
        if name not in arrays or arrays[name].shape != shape:
            raise BundleError(f"{path}: {name} is no {shape}; run galaxy-explorer evaluate again")
    if not (arrays["spread"] > 0).all() or not arrays["usual_filled"][0] > 0:
        raise BundleError(f"{path}: spread and usual_filled must be above 0")


def judge_novelty(
    bundle: Bundle, stamps: NDArray[np.float32], errors: Mapping[str, NDArray[np.floating]]
) -> list[Verdict]:
    """How unusual stamps (n, C, S, S) are, with the errors (n,) of each model on them.

    A bundle that does not know which error is usual is asked for the percentile of the error among
    its training galaxies, and says so.
    """
    known = novelty_of(bundle)
    if known is not None:
        return known.judge(stamps, errors)
    train = bundle.column("split") == "train"
    percentiles = {}
    for name, values in errors.items():
        usual = np.sort(bundle.column(f"{name}/error")[train])
        percentiles[name] = 100.0 * np.searchsorted(usual, values) / max(1, len(usual))
    found = []
    for i in range(len(stamps)):
        by_model = {name: float(values[i]) for name, values in percentiles.items()}
        high = sum(value > PLAIN_PERCENTILE for value in by_model.values())
        reason = (
            f"{high} of {len(by_model)} models reconstruct it worse than {PLAIN_PERCENTILE:.0f} %"
            f" of the training galaxies ({NOT_MEASURED})"
        )
        found.append(Verdict(reason if 2 * high >= len(by_model) else "", by_model))
    return found


def known_percentiles(bundle: Bundle, model: str) -> NDArray[np.floating]:
    """How unusual each galaxy of a bundle is to a model, (N,) in per cent.

    Of its error for galaxies of as much detail and noise, or of its measures if that is more; of
    its error among all galaxies where the bundle does not know which is usual.
    """
    known = novelty_of(bundle)
    if known is not None:
        return known.known[model]
    errors = bundle.column(f"{model}/error")
    return 100.0 * np.searchsorted(np.sort(errors), errors, side="right") / len(errors)
