"""The operational database as one person may use it."""

from kompass.sync.personal.database import PersonalDatabase
from kompass.sync.personal.shared import Gate
from kompass.sync.personal.views import PersonalViews

__all__ = ["Gate", "PersonalDatabase", "PersonalViews"]
