"""Data tests: one class for each, found by name in the registry."""

from teachkit.checks.base import Check, Finding, Surroundings, verdict
from teachkit.checks.query import SqlCheck

__all__ = ["Check", "Finding", "SqlCheck", "Surroundings", "verdict"]
