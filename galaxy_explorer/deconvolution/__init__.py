"""Deconvolution: galaxies as they would be seen without the PSF, judged against known truth."""
