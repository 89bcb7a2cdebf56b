"""Formats in which labels leave: one function for each, found by name in the registry."""
