"""A client of KOMPASS's REST API: `from kompass.client import Client`.

It needs httpx and nothing of the server. docs/rest.md shows what it does.
"""

from kompass.client.bulk import Create, Delete, Operation, Outcome, Replace, Step, Update
from kompass.client.client import Client
from kompass.client.documents import Action, Attachment, Document, Filters, Page, Resource
from kompass.client.errors import ClientError, FieldError, ProblemError, UnreachableError
from kompass.client.names import Name

__all__ = [
    "Action",
    "Attachment",
    "Client",
    "ClientError",
    "Create",
    "Delete",
    "Document",
    "FieldError",
    "Filters",
    "Name",
    "Operation",
    "Outcome",
    "Page",
    "ProblemError",
    "Replace",
    "Resource",
    "Step",
    "UnreachableError",
    "Update",
]
