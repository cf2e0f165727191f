"""One file per migration. They run while readers read: nothing in them rewrites or locks a table for long."""
