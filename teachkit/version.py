"""The version of teachkit."""

__version__ = "0.1.0"
