"""Surveys: pixels and catalogues in."""
