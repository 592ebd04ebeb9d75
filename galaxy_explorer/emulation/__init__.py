"""Generated and measured galaxies."""
