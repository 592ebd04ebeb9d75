"""The Panel app: reads a bundle, never writes one."""
