"""The part of a model card that tells of the model with the PSF layer and its deconvolutions."""

from __future__ import annotations

from typing import Any

import numpy as np

from galaxy_explorer.bundle.card import model_card, table
from galaxy_explorer.bundle.manifest import Manifest


def deconvolution_card(manifest: Manifest, found: dict[str, Any], command: str) -> str:
    """The model card with the figures of `deconvolution.json`; command: what measured them."""
    parts = (_method(found), _against_truth(found), _targets(found), _stamps(found))
    body = "\n".join(f"{part.strip()}\n" for part in parts)
    return f"{model_card(manifest)}\n{body}\nMeasured by `{command}`.\n"


def _method(found: dict[str, Any]) -> str:
    band = found["band"]
    return f"""
## Deconvolution

`{found["model"]}`: a VQ-VAE whose decoder draws positive light on a canvas of 100 x 100 pixels, 8
on each side more than the stamp, which each galaxy's own PSF then blurs (report, eq. 10). Trained
on simulated galaxies alone: the likelihood of the stamp with the known sigma of each pixel and a
free sky, and the un-convolved truth. No real stamp was used for training or tuning. Half the batch
and a quarter more steps than the recipe's; made by
`galaxy-explorer simulate --like candels --n 6000 --psf PSF --out surveys/sim_candels` and
`galaxy-explorer train surveys/sim_candels --out trained/candels --models {found["model"]}`.

"network alone" is the light decoded from the code map. "network and data" adds the posterior mean
of its error given the pixels, for an error whose spectrum was measured on the validation split.
Where the PSF passes less than a tenth, beyond {band["limit_cycles_per_arcsec"]:.2f} cycles/arcsec
(Nyquist: {band["nyquist_cycles_per_arcsec"]:.2f}), structure is the prior's, not the data's.
"""


def _against_truth(found: dict[str, Any]) -> str:
    rows = [
        [
            f"{figure['peak_sn']:g}", figure["name"], figure["method"],
            f"{figure['value']:.4g} {figure['unit']}".strip(),
            f"{figure['low']:.4g} to {figure['high']:.4g}",
            "-" if figure["control"] is None else f"{figure['control']:.4g}",
        ]
        for figure in found["figures"]
    ]  # fmt: skip
    count = found["figures"][0]["n"]
    settings = "; ".join(
        f"peak S/N {sn}: "
        + ", ".join(f"{method} {_format_settings(values)}" for method, values in methods.items())
        for sn, methods in found["settings"].items()
    )
    costs = ", ".join(
        f"{method} {np.mean([level[method] for level in found['costs'].values()]):.2g}"
        for method in next(iter(found["costs"].values()))
    )
    head = ["peak S/N", "figure", "method", "value", "95 % interval", "control"]
    return f"""
### Against known truth

{count} simulated galaxies of the test split at each peak S/N, with white noise. Biases are medians
over galaxies; intervals by bootstrap over galaxies; control: the same against the truth of another
galaxy. Wiener and Richardson-Lucy are scikit-image's, with the settings of highest PSNR on
validation galaxies ({settings}). Without pedestal or with light cut at zero they reach it at the
price of flux. Euclid VIS: a Gaussian PSF of 0.16" FWHM, pixels of 0.1".
CPU seconds a galaxy: {costs}.

{table(head, rows)}
"""


def _format_settings(settings: dict[str, Any]) -> str:
    return "(" + ", ".join(f"{name} {value}" for name, value in settings.items()) + ")"


def _targets(found: dict[str, Any]) -> str:
    rows = [
        [
            f"{t['peak_sn']:g}",
            t["name"],
            t["goal"],
            f"{t['value']:.4g}",
            "yes" if t["met"] else "no",
        ]
        for t in found["targets"]
    ]
    return f"""
### Targets, network and data

{table(["peak S/N", "figure", "goal", "found", "met"], rows)}
"""


def _stamps(found: dict[str, Any]) -> str:
    rows = [_chi2_row("simulated, test split, drizzled noise", found["stamps"])]
    words = ""
    if "real" in found:
        real = found["real"]
        rows.append(_chi2_row("real stamps", real))
        exposure = real["exposure_s"]
        photons = f"photon noise for {exposure:g} s (assumed)" if exposure else "no photon noise"
        words = (
            f"Real stamps: sigma of the sky from the clipped border of each stamp, {photons}; the"
            " model was not fine-tuned on them, so all are held out; the PSF is the survey's mean."
        )
    head = ["stamps", "n", "network alone, median", "90 % of stamps"]
    head += ["network and data, median", "90 % of stamps"]
    return f"""
### Reduced chi^2 of stamps as they are

{table(head, rows)}

{words} Below 1: the posterior mean follows part of the noise, which drizzling correlates.
"""


def _chi2_row(words: str, entry: dict[str, Any]) -> list[str]:
    row = [words, str(entry["n"])]
    for values in entry["chi2"].values():
        low, middle, high = np.percentile(values, [5, 50, 95])
        row += [f"{middle:.2f}", f"{low:.2f} to {high:.2f}"]
    return row
