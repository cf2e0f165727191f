"""The rules of the business at work: in the transaction of every write, whichever door it came through."""

from kompass.business.extension import BusinessExtension
from kompass.business.rules import BusinessRules

__all__ = ["BusinessExtension", "BusinessRules"]
