"""Rules of our own, one a module, whose docstring tells its story: `python -m tools.lint`."""
