"""A company whose rules hold whatever people send: what `tests.business.test_invariants` runs."""
