"""Who exists and how they prove it: passwords, user documents, cookies, lockout.

The rules are functions without I/O; `directory` brings them together with a store.
"""
