"""Learning curves: what more galaxies with a type buy, more without one, and more steps.

    python -m benchmarks.learning_curves trained/sdss
    python -m benchmarks.learning_curves trained/report --survey surveys/report --work FOLDER

Typed: a ridge on the features of the recommended clustering reads T, taught by n training galaxies,
drawn ten times; by all of them, once. Correlation with T of the typed galaxies of the test split;
the interval is that of the mean over the draws (Student), of all of them over galaxies. Control:
the same types, shuffled among the galaxies drawn.

Untyped, where survey and folder are given: MODEL is trained on N galaxies of the train split,
chosen by a hash of their ids, for as many steps as the bundle's, three times. Error on the test
split, and R^2 of the T that a ridge reads off its ring features, taught by all training galaxies
with a T. The folder keeps what is trained: the same command again goes on, and two at once share
the work.

The first two end with the change for each doubling and its 95 % interval over draws or trainings.

Steps: the error on the validation split as the bundle's models were trained, from its manifest.
The learning rate falls meanwhile: half of a training is not a training of half the steps.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from galaxy_explorer.bundle.bundle import Bundle, load_bundle
from galaxy_explorer.clustering.features import ring_vectors
from galaxy_explorer.errors import TrainingError
from galaxy_explorer.models.autoencoder_training import train_model
from galaxy_explorer.models.inference import encode_stamps, reconstruction_errors
from galaxy_explorer.models.protocols import Autoencoder
from galaxy_explorer.models.training import RECIPES
from galaxy_explorer.pipeline.plan import config_of
from galaxy_explorer.pipeline.steering import linear_features
from galaxy_explorer.pipeline.training_sample import sampled_rows, stretched_stamps
from galaxy_explorer.survey.store import Survey
from galaxy_explorer.utils.files import atomic_write_text, exclusive
from galaxy_explorer.utils.resampling import bootstrap, mean_interval, slope_interval

Floats = NDArray[np.floating[Any]]

TYPED = (400, 800, 1600, 3200)
DRAWS = 10
MODEL = "k512-modern-8x8"
UNTYPED = (3_000, 8_000, 24_000)
SEEDS = 3
BLOCK = 512
STRENGTHS = 10.0 ** np.arange(-1, 6)  # of the ridge, chosen by leaving out one galaxy at a time


def read_off(features: Floats, ttype: Floats, rows: NDArray[np.int64]) -> Floats:
    """T of all galaxies by a ridge that was taught by some of them."""
    ridge = make_pipeline(StandardScaler(), RidgeCV(STRENGTHS))
    return np.asarray(ridge.fit(features[rows], ttype[rows]).predict(features))


def correlation(one: Floats, other: Floats) -> float:
    """Pearson's r."""
    return float(np.corrcoef(one, other)[0, 1])


def say_slope(words: str, sizes: Iterable[float], values: Iterable[float]) -> None:
    """Print the change of a figure for each doubling of the sizes."""
    found = slope_interval(np.log2(list(sizes)), list(values))
    ends = f"[{found.low:+.4f}, {found.high:+.4f}]"
    print(f"  each doubling: {words} {found.value:+.4f} {ends}, n {found.n}", flush=True)


def typed_curve(bundle: Bundle) -> None:
    """How well T is read against the number of galaxies that teach it."""
    key = bundle.manifest.default_clustering
    features, _ = linear_features(bundle, key)
    ttype, split = bundle.column("ttype"), bundle.column("split")
    train, test = (np.flatnonzero(np.isfinite(ttype) & (split == s)) for s in ("train", "test"))
    print(f"typed: {key}, r with T of {len(test)} test galaxies")
    sizes, values = [], []
    for n in TYPED:
        own, control = [], []
        for seed in range(DRAWS):
            rng = np.random.default_rng(seed)
            some = rng.permutation(train)[:n]
            own.append(correlation(read_off(features, ttype, some)[test], ttype[test]))
            shuffled = ttype.copy()
            shuffled[some] = rng.permutation(ttype[some])
            control.append(correlation(read_off(features, shuffled, some)[test], ttype[test]))
        mean, other = mean_interval(own), mean_interval(control)
        words = f"{mean.value:.3f} [{mean.low:.3f}, {mean.high:.3f}]"
        print(f"  {n:,}: r {words}, shuffled {other.value:+.3f}", flush=True)
        sizes += [n] * DRAWS
        values += own
    read, true = read_off(features, ttype, train)[test], ttype[test]
    found = bootstrap(lambda rows: correlation(read[rows], true[rows]), len(test))
    print(f"  all {len(train):,}: r {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]")
    say_slope("r", sizes, values)


def trained(bundle: Bundle, survey: Survey, work: Path, n: int, seed: int) -> None:
    """Train MODEL on n galaxies and keep its figures in `work`, unless they are there."""
    folder = work / f"{n}-{seed}"
    result = folder / "figures.json"
    if result.is_file():
        return
    try:
        with exclusive(work / f"{n}-{seed}.lock"):
            config = config_of(MODEL, survey.meta)
            recipe = replace(RECIPES["quick"], steps=bundle.models[MODEL].steps, seed=seed)
            stamps = stretched_stamps(survey, sampled_rows(survey, "train", n), folder, "train")
            rows = sampled_rows(survey, "validation")
            validation = stretched_stamps(survey, rows, folder, "validation")
            model, _ = train_model(config, stamps, validation, folder / "model", recipe)
            metrics = bundle.models[MODEL].metrics
            found = figures(model.eval(), survey, metrics["mse"] / metrics["nmse"])
            atomic_write_text(result, json.dumps(found))
    except TrainingError as error:
        print(error)  # another process trains it


def figures(model: Autoencoder, survey: Survey, variance: float) -> dict[str, float]:
    """Error on the test split, and R^2 of T read off ring features by all that teach it."""
    ttype, split = survey.column("ttype"), survey.column("split")
    typed, test = np.flatnonzero(np.isfinite(ttype)), np.flatnonzero(split == "test")
    errors, rings = [], []
    for start in range(0, len(test), BLOCK):
        stamps = survey.model_input(test[start : start + BLOCK])
        errors.append(reconstruction_errors(model, stamps, encode_stamps(model, stamps)))
    codebook = model.codebooks[0].detach().cpu().numpy()
    for start in range(0, len(typed), BLOCK):
        maps = encode_stamps(model, survey.model_input(typed[start : start + BLOCK]))
        rings.append(ring_vectors(maps[:, None], codebook))
    teach = np.flatnonzero(split[typed] == "train")
    held = np.flatnonzero(split[typed] == "test")
    true = ttype[typed].astype(np.float64)
    read = read_off(np.concatenate(rings), true, teach)[held]
    left = np.square(true[held] - read).sum() / np.square(true[held] - true[held].mean()).sum()
    return {"nmse": float(np.concatenate(errors).mean() / variance), "r2": float(1 - left)}


def untyped_curve(bundle: Bundle, survey: Survey, work: Path) -> None:
    """Error and R^2 of T against the number of galaxies without a type that a model learns from."""
    for seed in range(SEEDS):
        for n in UNTYPED:
            trained(bundle, survey, work, n, seed)
    print(f"untyped: {MODEL}, {bundle.models[MODEL].steps:,} steps")
    sizes, found = [], []
    for n in UNTYPED:
        paths = [work / f"{n}-{seed}" / "figures.json" for seed in range(SEEDS)]
        own = [json.loads(path.read_text()) for path in paths if path.is_file()]
        if len(own) < SEEDS:
            print(f"  {n:,}: {len(own)} of {SEEDS} trainings are done")
            continue
        means = {name: mean_interval([one[name] for one in own]) for name in ("nmse", "r2")}
        words = (f"{k} {m.value:.4f} [{m.low:.4f}, {m.high:.4f}]" for k, m in means.items())
        print(f"  {n:,}: {', '.join(words)}")
        sizes += [n] * SEEDS
        found += own
    if len(set(sizes)) == len(UNTYPED):
        for name in ("nmse", "r2"):
            say_slope(name, sizes, [one[name] for one in found])


def steps_curve(bundle: Bundle) -> None:
    """Error on the validation split against the steps, of every model with a curve."""
    print("steps: NMSE of the validation split at a quarter, a half and all of the training")
    for name, entry in bundle.models.items():
        curve = [(row["step"], row["nmse"]) for row in entry.curve]
        if len(curve) < 4:
            continue
        quarter, half = curve[len(curve) // 4 - 1], curve[len(curve) // 2 - 1]
        words = ", ".join(f"{step:,.0f}: {error:.4f}" for step, error in (quarter, half, curve[-1]))
        gain = 1 - curve[-1][1] / half[1]
        print(f"  {name} {words}; the second half takes off {100 * gain:.0f} %")


def main() -> None:
    """Print the curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--survey", type=Path, help="what the bundle was trained on")
    parser.add_argument("--work", type=Path, help="where models are kept as they are trained")
    asked = parser.parse_args()
    if (asked.survey is None) != (asked.work is None):
        parser.error("--survey and --work go together")
    bundle = load_bundle(asked.bundle)
    if asked.survey is not None:
        untyped_curve(bundle, Survey.open(asked.survey), asked.work)
    typed_curve(bundle)
    steps_curve(bundle)


if __name__ == "__main__":
    main()
