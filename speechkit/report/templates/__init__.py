"""Templates of pages, their style and script. A package, so that wheels carry its files."""
