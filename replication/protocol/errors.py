"""Every error the server can answer, in one table.

A `ProtocolError` carries what CouchDB puts on the wire: the HTTP status and the
`{"error", "reason"}` pair. Code below the HTTP layer raises it through the named
constructors in this file; nothing else in the package invents a status. The pairs are
CouchDB 3.5's, as observed from its answers.
"""

from __future__ import annotations

from collections.abc import Mapping


class ProtocolError(Exception):
    """An answer other than success: `status`, `error`, `reason`, headers and members of the body to add."""

    def __init__(
        self,
        status: int,
        error: str,
        reason: str,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{status} {error}: {reason}")
        self.status = status
        self.error = error
        self.reason = reason
        self.headers: Mapping[str, str] = headers or {}
        self.members: Mapping[str, object] = members or {}

    def body(self) -> dict[str, object]:
        """The JSON object that goes on the wire."""
        return {"error": self.error, "reason": self.reason, **self.members}


def bad_request(reason: str) -> ProtocolError:
    return ProtocolError(400, "bad_request", reason)


def invalid_json(reason: str = "invalid UTF-8 JSON") -> ProtocolError:
    return ProtocolError(400, "bad_request", reason)


def query_parse_error(reason: str) -> ProtocolError:
    return ProtocolError(400, "query_parse_error", reason)


def illegal_docid(reason: str) -> ProtocolError:
    return ProtocolError(400, "illegal_docid", reason)


def illegal_partition(reason: str) -> ProtocolError:
    return ProtocolError(400, "illegal_partition", reason)


def not_partitioned() -> ProtocolError:
    return bad_request("database is not partitioned")


def illegal_database_name(name: str) -> ProtocolError:
    return ProtocolError(
        400,
        "illegal_database_name",
        f"Name: '{name}'. Only lowercase characters (a-z), digits (0-9), and any of the characters"
        " _, $, (, ), +, -, and / are allowed. Must begin with a letter.",
    )


def database_name_too_long(name: str) -> ProtocolError:
    return ProtocolError(400, "database_name_too_long", f"At least one path segment of `{name}` is too long.")


def doc_validation(reason: str) -> ProtocolError:
    return ProtocolError(400, "doc_validation", reason)


def unauthorized(
    reason: str, *, headers: Mapping[str, str] | None = None, members: Mapping[str, object] | None = None
) -> ProtocolError:
    return ProtocolError(401, "unauthorized", reason, headers=headers, members=members)


def forbidden(reason: str) -> ProtocolError:
    return ProtocolError(403, "forbidden", reason)


def not_found(reason: str) -> ProtocolError:
    return ProtocolError(404, "not_found", reason)


def missing() -> ProtocolError:
    return not_found("missing")


def deleted() -> ProtocolError:
    return not_found("deleted")


def database_missing() -> ProtocolError:
    return not_found("Database does not exist.")


def is_database_missing(error: ProtocolError) -> bool:
    return error.status == 404 and error.reason == database_missing().reason


def missing_attachment() -> ProtocolError:
    return not_found("Document is missing attachment")


def method_not_allowed(allowed: tuple[str, ...]) -> ProtocolError:
    names = ",".join(allowed)
    return ProtocolError(405, "method_not_allowed", f"Only {names} allowed", headers={"Allow": names})


def not_acceptable(reason: str) -> ProtocolError:
    return ProtocolError(406, "not_acceptable", reason)


def request_timeout() -> ProtocolError:
    return ProtocolError(408, "timeout", "The request could not be processed in a reasonable amount of time.")


def conflict(reason: str = "Document update conflict.") -> ProtocolError:
    return ProtocolError(409, "conflict", reason)


def gone(reason: str) -> ProtocolError:
    return ProtocolError(410, "gone", reason)


def database_exists() -> ProtocolError:
    return ProtocolError(
        412,
        "file_exists",
        "The database could not be created, the file already exists.",
    )


def missing_stub(reason: str) -> ProtocolError:
    return ProtocolError(412, "missing_stub", reason)


def document_too_large(docid: str) -> ProtocolError:
    return ProtocolError(413, "document_too_large", docid)


def attachment_too_large(name: str) -> ProtocolError:
    return ProtocolError(413, "attachment_too_large", name)


def too_many_documents(most: int) -> ProtocolError:
    return ProtocolError(413, "max_bulk_docs_count_exceeded", str(most))


def request_too_large() -> ProtocolError:
    return ProtocolError(413, "too_large", "the request entity is too large")


def too_many_values(most: int) -> ProtocolError:
    return ProtocolError(413, "too_large", f"the request holds more than {most} values")


def content_md5_mismatch() -> ProtocolError:
    return ProtocolError(400, "content_md5_mismatch", "Possible message corruption.")


def bad_content_type(reason: str) -> ProtocolError:
    return ProtocolError(415, "bad_content_type", reason)


def range_not_satisfiable() -> ProtocolError:
    return ProtocolError(416, "requested_range_not_satisfiable", "Requested range not satisfiable")


def expectation_failed(reason: str) -> ProtocolError:
    return ProtocolError(417, "expectation_failed", reason)


def headers_too_large() -> ProtocolError:
    return ProtocolError(431, "too_large", "The request line and headers are too large.")


def internal(reason: str) -> ProtocolError:
    return ProtocolError(500, "internal_server_error", reason)


def not_implemented(reason: str) -> ProtocolError:
    return ProtocolError(501, "not_implemented", reason)


def unavailable(reason: str, *, headers: Mapping[str, str] | None = None) -> ProtocolError:
    return ProtocolError(503, "service_unavailable", reason, headers=headers)


def insufficient_storage(reason: str) -> ProtocolError:
    return ProtocolError(507, "insufficient_storage", reason)
