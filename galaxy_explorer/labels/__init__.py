"""Labels that astronomers give to galaxies, clusters and selections: an append-only log."""
