"""The Deconvolution page."""
