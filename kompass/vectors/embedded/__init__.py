"""The index of the embedded engine: SQLite with sqlite-vec, in files of the data directory."""
