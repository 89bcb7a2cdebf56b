"""Prompts at work: what is asked, at what cost, and what becomes of the answers."""
