"""What people may ask about their data: a copy of it, its erasure, and what it may be used for.

See docs/privacy.md.
"""
