"""Whether the record is whole, and the labels come out again."""
