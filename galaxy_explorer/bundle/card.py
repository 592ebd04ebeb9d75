"""The model card of a bundle: written from its manifest, never by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from galaxy_explorer.bundle.clusterings import ClusteringEntry, Score
from galaxy_explorer.bundle.manifest import Manifest, ModelEntry, PriorEntry
from galaxy_explorer.models.registry import PRIORS, PriorKind

CREDITS = {
    "sdss_ngc": "Pixels: SDSS DR7. Types: EFIGI (Baillard et al. 2011), else OpenNGC"
    " (CC-BY-SA-4.0), whose Hubble types come from HyperLEDA (Makarov et al. 2014).",
    "gz1": "Pixels: SDSS. Objects: Galaxy Zoo 1 (Lintott et al. 2011).",
}
REPORT = (
    "Method: T.-Y. Cheng, M. Huertas-Company et al. 2019, Kavli Summer Program report on VQ-VAE"
    " for emulating and clustering galaxy images; VQ-VAE after van den Oord et al. 2017 and Razavi"
    " et al. 2019."
)
PRIOR_HEAD = "Prior of the emulator"
SCORES = {"ami": "AMI", "homogeneity": "homogeneity", "eta2": "η²"}


def model_card(manifest: Manifest) -> str:
    """Markdown text of the card: data, models, figures with intervals, limits, credits."""
    parts = (_head, _data, _models, _priors, _clusters, _figures, _limits, _credits)
    return "\n".join(f"{part(manifest).strip()}\n" for part in parts)


def _head(manifest: Manifest) -> str:
    survey, name = manifest.survey, manifest.name
    return f"""
# {name}: a galaxy_explorer bundle

What {len(manifest.models)} autoencoders learnt from {manifest.n_galaxies:,}
galaxies of the survey `{survey.name}`, which were told nothing of their Hubble types: weights,
a code map for each galaxy, {len(manifest.clusterings)} clusterings and maps. It holds numbers,
no pixel of the survey; pictures drawn from it are reconstructions.

This card is generated from `manifest.json` by `{manifest.software}` on
{manifest.created[:10]}; `galaxy-explorer info` prints the same figures.
"""


def _data(manifest: Manifest) -> str:
    survey, splits = manifest.survey, manifest.survey.splits
    size, state = survey.stamp_size, survey.stretch.get("state")
    scale = survey.pixel_scale_arcsec
    rows = [
        [source["source"], source.get("accepted", ""), source.get("rejected", "")]
        for source in survey.sources
    ]
    stored = (
        "8-bit pictures divided by 255 (already arcsinh-stretched)"
        if state == "arcsinh"
        else "linear flux, arcsinh-stretched before the models"
    )
    return f"""
## Data

Stamps of {size} x {size} pixels, {survey.channels} channel, band {survey.band or "unknown"},
{f"{scale} arcsec a pixel" if scale else "scale different from galaxy to galaxy"}; {stored}.
Split by galaxy id: {splits["train"]:,} train, {splits["validation"]:,} validation,
{splits["test"]:,} test. Weights, principal components and mixtures saw the train split only;
choices were made on the validation split; every figure below is of the test split unless it says
otherwise. Fingerprint of ids and pixels: `{survey.fingerprint[:16]}...`.

{table(["source", "accepted", "rejected"], rows)}
"""


def _models(manifest: Manifest) -> str:
    recipe = manifest.recipe
    rows = []
    for name, entry in manifest.models.items():
        metrics = entry.metrics
        rows.append(
            [
                name,
                f"{entry.steps:,}",
                f"{entry.seconds / 60:.0f}",
                f"{metrics['nmse']:.4f}",
                _interval(metrics.get("nmse_low"), metrics.get("nmse_high")),
                f"{metrics['psnr_db']:.2f}",
                *_vocabulary(metrics, entry),
            ]
        )
    head = ["model", "steps", "minutes", "NMSE", "95 % interval", "PSNR", "perplexity"]
    head += ["over K", "used"]
    return f"""
## Autoencoders

`k512-modern-8x8` is 512 codes, the moving-average codebook, a map of 8 x 8. `paper`: the report's
gradient codebook. `modern`: moving averages, k-means start, restart of dead codes. Recipe
`{recipe.get("name")}`, batch {recipe.get("batch_size", "?")}; {manifest.hardware}. Weights are
stored, and were measured, in eight bits with a scale for each row of a kernel, the rest in half
precision.

NMSE is the mean squared error divided by the variance of the training pixels, in stretched units,
with a 95 % bootstrap interval over galaxies; PSNR, in dB, is for a peak of 1; perplexity and share
of codes used are over all test galaxies together.

{table(head, rows)}
"""


def _vocabulary(metrics: dict[str, float], entry: ModelEntry) -> list[str]:
    """Perplexity, the same over K, share of codes used; nothing where there are no codes."""
    if "perplexity" not in metrics:
        return ["-", "-", "-"]
    share = metrics["perplexity"] / entry.config["num_embeddings"]
    used = f"{100 * metrics['used_share']:.1f} %"
    return [f"{metrics['perplexity']:.1f}", f"{share:.2f}", used]


def _priors(manifest: Manifest) -> str:
    """The priors: what they may be asked for, their likelihoods; nothing where there are none."""
    priors = manifest.priors
    if not priors:
        return ""
    parts = ""
    for kind in {kind.card: kind for kind in PRIORS.values()}.values():  # kinds may share words
        alike = {n: entry for n, entry in priors.items() if PRIORS[entry.kind].card == kind.card}
        parts += _prior_part(alike, kind)
    fields = [
        [name, field.label, f"{field.low:.3g} to {field.high:.3g} {field.unit}"]
        for name, entry in priors.items()
        for field in entry.fields
    ]
    return f"""
## {PRIOR_HEAD}

Every training galaxy was encoded by the stored autoencoder in all eight orientations. A prior's
weights are stored, and were measured, in eight bits. Negative log-likelihoods are over the held-out
galaxies with a known T: asked for with all that the catalogue has, with T alone, with nothing, and
by how much shuffling T raises the second, with its standard error.

{parts}It may be asked for any of these, within the range of the train split:

{table(["prior of", "field", "range"], fields)}
"""


def _prior_part(priors: Mapping[str, PriorEntry], kind: PriorKind) -> str:
    """Words and the table of priors that are described alike; nothing where there is none."""
    sizes = " x ".join(title for _, title in kind.shown)
    head = ["prior of", sizes, "steps", "minutes", "all known", kind.beside[1], "T alone"]
    rows = [_prior_row(name, entry, kind) for name, entry in priors.items()]
    head += ["nothing asked", "T shuffled costs", "n"]
    return f"{kind.card}\n\n{table(head, rows)}\n\n" if rows else ""


def card_with_priors(card: str, manifest: Manifest) -> str:
    """A finished card with the section on priors in its place, everything else as it was."""
    parts = [part for part in f"\n{card}".split("\n## ") if not part.startswith(PRIOR_HEAD)]
    place = next((i for i, part in enumerate(parts) if part.startswith("Clusters")), len(parts))
    parts.insert(place, _priors(manifest).strip().removeprefix("## ") + "\n")
    return "\n## ".join(parts).lstrip("\n")


def _prior_row(name: str, entry: PriorEntry, kind: PriorKind) -> list[str]:
    config, metrics = entry.config, entry.metrics
    keys = ("nll", kind.beside[0], "nll_first", "nll_withheld")
    shown = [f"{metrics[key]:.2f}" if key in metrics else "-" for key in keys]
    gain, error = metrics.get("label_gain"), metrics.get("label_gain_error")
    cost = "-" if gain is None else f"{gain:.2f}" if error is None else f"{gain:.2f} ± {error:.2f}"
    return [
        name,
        " x ".join(str(config[size]) for size, _ in kind.shown),
        f"{entry.steps:,}",
        f"{entry.seconds / 60:.0f}",
        *shown,
        cost,
        f"{metrics.get('n_known', 0):.0f}",
    ]


def _clusters(manifest: Manifest) -> str:
    entries = manifest.clusterings
    counted = next(iter(entries.values())).n_ttype
    head = ["clustering", "in use", "early", "mixed", "late", "unknown"]
    return f"""
## Clusters

`index`: the report's features, the 64 code indices as numbers. `codes`: code vectors averaged over
the eight orientations of the stamp, reduced to principal components. Both go into a Bayesian
mixture of Gaussians. Clusters in use hold more than a tenth of an even share of the galaxies. A
cluster is early (late) if the 95 % interval of its share of T ≤ 0 lies above (below) the share in
the whole sample, unknown if fewer than 8 members have a type.

{table(head, [_kinds_row(key, entry) for key, entry in entries.items()])}

## Agreement with the Hubble type

Each score stands beside its 95 % bootstrap interval over galaxies and its chance level, the mean
for shuffled labels. With few galaxies a cluster, homogeneity and η² are high by chance.

Held-out test split, {counted.get("test", "?")} galaxies with a type:

{_score_table({key: entry.agreement for key, entry in entries.items()})}

All {counted.get("all", "?")} galaxies with a type, training galaxies included:

{_score_table({key: entry.agreement_all for key, entry in entries.items()})}
"""


def _kinds_row(key: str, entry: ClusteringEntry) -> list[str]:
    kinds = [cluster.kind for cluster in entry.clusters if cluster.count]
    counts = [str(kinds.count(kind)) for kind in ("early", "mixed", "late", "unknown")]
    return [key, f"{entry.effective_clusters} of {entry.n_components}", *counts]


def _score_table(agreements: Mapping[str, Mapping[str, Score]]) -> str:
    rows = [
        [key, label, *_score(scores.get(name, Score()))]
        for name, label in SCORES.items()
        for key, scores in agreements.items()
    ]
    return table(["clustering", "score", "value", "95 % interval", "chance"], rows)


def _score(score: Score) -> list[str]:
    if score.value is None:
        return ["-", "-", "-"]
    return [f"{score.value:.3f}", _interval(score.low, score.high, digits=3), f"{score.chance:.3f}"]


def _interval(low: float | None, high: float | None, digits: int = 4) -> str:
    return "-" if low is None or high is None else f"{low:.{digits}f} to {high:.{digits}f}"


def _figures(manifest: Manifest) -> str:
    """How each figure is made, and those that were measured on the finished bundle."""
    recipe, survey = manifest.recipe.get("name"), manifest.survey.name
    name = manifest.name
    rows = [[f.what, f.value, f"`{f.command}`"] for f in manifest.figures]
    measured = f"\n{table(['what', 'measured', 'command'], rows)}" if rows else ""
    return f"""
## Where the figures come from

Everything above: `galaxy-explorer train surveys/{survey} --out trained/{name} --recipe {recipe}`
(the same command again resumes and rewrites nothing that is done).
{measured}
"""


def _limits(_: Manifest) -> str:
    return """
## Limits

One band, one seed: no error bar here holds the scatter between trainings. Hubble types carry an
error of about one stage or more, which caps every score; galaxies without a type count in the
clusters but in no score. `index` clusters change if the codebook is renumbered, and no clustering
here is invariant to rotations other than by 90 degrees. The map is for the eye: distances on it
mean little and no cluster was made on it. `galaxy-explorer classify` gives the percentile of an
image's reconstruction error among the training galaxies; above 99 nothing said of it is to be
trusted. Reconstructions are smoother than the galaxies: do not measure fluxes on them.
"""


def _credits(manifest: Manifest) -> str:
    sources = [source["source"] for source in manifest.survey.sources]
    known = [f"- {CREDITS[source]}" for source in sources if source in CREDITS]
    other = [source for source in sources if source not in CREDITS]
    known += [f"- `{source}`: cite the survey that the stamps came from." for source in other]
    lines = "\n".join([*known, f"- {REPORT}"])
    return f"""
## Credits and licence

{lines}

Weights, code maps and cluster parameters: BSD-3-Clause, as galaxy_explorer. Catalogue facts keep
the licences of their sources.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; text from outside cannot break its cells."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, float) and math.isnan(value):
        return "-"
    return str(value).replace("|", "/").replace("\n", " ")
