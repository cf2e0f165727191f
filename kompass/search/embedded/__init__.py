"""The index of the embedded engine: tantivy, in files of the data directory."""
