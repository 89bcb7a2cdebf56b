"""Lineage as other tools read it."""
