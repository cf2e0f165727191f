"""Generated data to look at and to test with, and the people who may log in to it."""

from kompass.demo.generate import CUSTOMERS, generate
from kompass.demo.people import PASSWORD, PEOPLE

__all__ = ["CUSTOMERS", "PASSWORD", "PEOPLE", "generate"]
