"""Tasks whose answers are values, in a build: their votes, gold, labels and figures, beside those of labels."""
