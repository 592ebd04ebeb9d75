"""Features of code maps, clusters, the map and their validation."""
