"""The trained result, in numbers, each file under its SHA-256."""
