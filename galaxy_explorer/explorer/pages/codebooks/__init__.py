"""The Codebooks page: two models side by side."""
