"""Do generated galaxies obey the type that was asked for, and do they look like real ones?"""
