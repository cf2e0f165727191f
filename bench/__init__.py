"""Benchmarks: our figures beside a peer's, measured in one run and told as ratios."""
