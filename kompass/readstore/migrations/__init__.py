"""Alembic's migrations of a generation; the tables of the types follow their models by themselves."""
