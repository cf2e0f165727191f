"""The gate: everything that people send is judged here before it is stored."""

from kompass.sync.gate.gate import CHUNK, PATIENCE, Gate

__all__ = ["CHUNK", "PATIENCE", "Gate"]
