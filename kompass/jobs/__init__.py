"""Jobs that follow from changes of documents: reminders, notices, mails, webhooks.

`triggers` is the vocabulary, `catalogue` the table; the sink judges changes by it and keeps the jobs
beside its place in the feed, `dispatching` brings them to RQ, `working` does them.
"""
