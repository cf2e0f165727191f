"""The record of what was done: one chain of entries for each database."""
