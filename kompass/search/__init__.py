"""Full-text search: what of a document is searched, and the indexes that search it."""
