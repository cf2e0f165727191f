"""Whole products that serve the same databases, each from copies of its own that follow one journal."""
