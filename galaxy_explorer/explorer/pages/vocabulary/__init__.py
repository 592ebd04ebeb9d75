"""The Vocabulary page: every code, its use, its place in a galaxy."""
