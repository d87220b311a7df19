"""Whole-database jobs: verify, dump and load, backup and restore, compact. Over the engine port and the tables."""
