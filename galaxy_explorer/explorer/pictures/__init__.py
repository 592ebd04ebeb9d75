"""Stamps as pictures: stretched, coloured, on tiles and sheets."""
