"""Several processes that serve the same databases: one journal in PostgreSQL, a copy in each process."""
