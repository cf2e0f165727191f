"""Search by meaning: texts as vectors, and the indexes that find those nearest to a question."""
