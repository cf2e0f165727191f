"""The gate: everything that people send is judged here before it is stored."""

from kompass.sync.gate.gate import CHUNK, PATIENCE, Gate
from kompass.sync.gate.merging import Merge, merge_fields
from kompass.sync.gate.shape import Validate, no_rules

__all__ = ["CHUNK", "PATIENCE", "Gate", "Merge", "Validate", "merge_fields", "no_rules"]
