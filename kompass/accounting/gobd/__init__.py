"""Data-carrier exchange for a tax audit: files with an index that the auditor's program reads."""
