"""The per-user view of replication: what a plain PouchDB sees of the operational database."""
