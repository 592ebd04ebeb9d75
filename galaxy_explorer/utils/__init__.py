"""What every room may use: files, progress, caches, resampling, tables."""
