"""The version of this package. Its one source: the project file reads it from here."""

__version__ = "0.1.0"
