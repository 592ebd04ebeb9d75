"""Arrays to figures; no widgets, no state."""
