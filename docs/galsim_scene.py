"""Galaxies that do not exist in a GalSim scene: sheared, through a PSF, on pixels with noise.

    python docs/galsim_scene.py trained/sdss scene.fits --n 100

Of a bundle whose model has the PSF layer the profiles are deconvolved: the scene's PSF is the only
one. Of another the seeing of its survey is still in the light, as `catalogue.seeing` says; here the
galaxies are drawn smaller than they were seen, so that it matters less than the scene's own.
"""

from __future__ import annotations

import argparse

import galsim
import numpy as np

import galaxy_explorer as ge
from galaxy_explorer.emulation import GalSimCatalogue

SIDE, SCALE = 1500, 0.2  # pixels, arcsec each
ZERO_POINT, SKY = 30.0, 8.0  # magnitude of one electron; sigma of the sky, electrons a pixel
SHEAR = galsim.Shear(g1=0.02, g2=0.0)


def draw_scene(bundle: str, count: int, seed: int = 1) -> tuple[galsim.Image, GalSimCatalogue]:
    """A scene of `count` galaxies of T = 4 at random places, and the galaxies."""
    samples = ge.generate(
        bundle, n=count, ttype=4, seed=seed, pixel_scale=0.1, magnitude=21.0, zero_point=ZERO_POINT
    )
    catalogue, rng = samples.galsim(), np.random.default_rng(seed)
    image = galsim.ImageF(SIDE, SIDE, scale=SCALE)
    psf = galsim.Moffat(beta=3.5, fwhm=0.7)
    for galaxy in catalogue:
        x, y = rng.uniform(0, SIDE, 2)
        angle = rng.uniform(0, 360) * galsim.degrees  # drawn galaxies have an angle of their own
        seen = galsim.Convolve(galaxy.rotate(angle).shear(SHEAR), psf)
        stamp = seen.drawImage(center=galsim.PositionD(x, y), scale=SCALE)
        inside = stamp.bounds & image.bounds
        if inside.isDefined():
            image[inside] += stamp[inside]
    image.addNoise(galsim.CCDNoise(galsim.BaseDeviate(seed), sky_level=SKY**2))
    return image, catalogue


def main() -> None:
    """Write the scene, and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("out")
    parser.add_argument("--n", type=int, default=100)
    asked = parser.parse_args()
    image, catalogue = draw_scene(asked.bundle, asked.n)
    image.header = galsim.FitsHeader({"SYNTHETI": True, "NGALAXY": len(catalogue)})
    image.write(asked.out)
    print(f"{asked.out}: {len(catalogue)} synthetic galaxies; {catalogue.seeing}")


if __name__ == "__main__":
    main()
