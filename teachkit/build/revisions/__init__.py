"""Git revisions of the project: what git says, the project as it was, the labels that a lock names."""
