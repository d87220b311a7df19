"""Benchmarks: the same work done by MiniDB and by its rivals, checked, then timed. ``python -m bench --help``."""
