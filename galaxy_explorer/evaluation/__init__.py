"""What is measured of a finished bundle, stage by stage, and written into it."""
