"""Backup and restore: consistent, incremental, encrypted copies of everything a server has to keep.

What is copied (`source`) and where it goes (`target`) know nothing of one another; the repository
(`repository`) is between them.
"""
