"""The gate: everything that people send is judged here before it is stored."""

from kompass.sync.gate.gate import CHUNK, PATIENCE, Gate
from kompass.sync.gate.merging import Merge, merge_fields

__all__ = ["CHUNK", "PATIENCE", "Gate", "Merge", "merge_fields"]
