"""How well galaxies are drawn without their PSF, against known truth."""
