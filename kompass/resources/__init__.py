"""Documents as resources: what they are called, and reading, listing and writing them one person at a time.

Everything goes through the person's own view of the database, so it sees and writes what a device of his
would. HTTP is in `kompass.api`.
"""
