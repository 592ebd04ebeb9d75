"""Handlers of picture addresses, and who gets in."""
