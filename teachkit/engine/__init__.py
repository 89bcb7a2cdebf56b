"""DuckDB's room: sources, tables of the store, the fused scan."""
