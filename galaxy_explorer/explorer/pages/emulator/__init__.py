"""The Emulator page: galaxies that do not exist."""
