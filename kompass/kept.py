"""The files beside the databases that are the truth about something: backed up, restored and moved with them.

Whatever else lies in a data directory follows from documents and is made anew.
"""

from __future__ import annotations

JOBS = "jobs/jobs.sqlite"
"""Jobs, receivers of webhooks (`kompass.jobs.store`)."""

LEXWARE = "office/lexware.sqlite"
"""What went to Lexware, and what came from it (`kompass.lexware.store`)."""

CALENDARS = "office/calendars.sqlite"
"""Who has subscribed to a calendar (`kompass.calendars.store`)."""

REQUESTS = "office/requests.sqlite"
"""Idempotency keys of a day (`kompass.requests`)."""

IMPORTS = "office/imports.sqlite"
"""Imports: what was uploaded, what became of each row, and how to undo it (`kompass.imports.store`)."""

DATEV = "office/datev.sqlite"
"""What went to DATEV, in which batch (`kompass.exports.batches`)."""

FILES: tuple[str, ...] = (JOBS, LEXWARE, CALENDARS, REQUESTS, IMPORTS, DATEV)
"""Below a data directory, in a folder: files beside the databases would be taken for one. Without the
folders their names are different, too.
"""
