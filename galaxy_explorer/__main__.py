"""`python -m galaxy_explorer` is `galaxy-explorer`."""

from galaxy_explorer.cli import main

if __name__ == "__main__":
    main()
