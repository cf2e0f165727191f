"""What Mango answers to a wrong request: CouchDB's names, statuses and words.

Where CouchDB prints an argument as an Erlang term (`<<102,111,111>>`), these print it as JSON:
the person who wrote the query shall recognise it.
"""

from __future__ import annotations

from typing import Any

from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError

_LONGEST_QUOTE = 500


def shown(value: Any) -> str:
    """`value` as JSON, shortened when it is long."""
    try:
        text = jsontext.encode(value).decode("utf-8")
    except ProtocolError:
        return "a value that is not JSON in UTF-8"
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"


def rejected(error: str, reason: str) -> ProtocolError:
    """A 400 with one of Mango's error names."""
    return ProtocolError(400, error, reason)


def bad_argument(operator: str, argument: Any) -> ProtocolError:
    return rejected("bad_arg", f"Bad argument for operator {operator}: {shown(argument)}")


def invalid_operator(operator: str) -> ProtocolError:
    return rejected("invalid_operator", f"Invalid operator: {operator}")


def unsupported_operator(operator: str) -> ProtocolError:
    return rejected("not_supported", f"Unsupported operator: {operator}")


def missing_field_name() -> ProtocolError:
    return rejected("invalid_selector", "One or more conditions is missing a field name.")


def invalid_field_name(name: str) -> ProtocolError:
    return rejected("invalid_field_name", f"Invalid field name: {name}")


def selector_not_an_object(value: Any) -> ProtocolError:
    return rejected("invalid_selector_json", f"Selector must be a JSON object, not: {shown(value)}")


def selector_too_deep() -> ProtocolError:
    return rejected("invalid_selector", "The selector is nested too deeply.")


def too_many_conditions(most: int) -> ProtocolError:
    return rejected("invalid_selector", f"The selector has more than {most} conditions.")


def too_many_patterns(most: int) -> ProtocolError:
    return rejected("invalid_selector", f"The selector has patterns of more than {most} characters together.")


def selector_too_slow() -> ProtocolError:
    return rejected("invalid_selector", "The selector takes too long to be compared with a document.")


def too_many_fields(most: int) -> ProtocolError:
    return rejected("invalid_fields", f"More than {most} fields are asked for.")


def regex_too_slow(pattern: str) -> ProtocolError:
    return bad_argument("$regex", pattern + " (it takes too long to match)")


def text_without_index() -> ProtocolError:
    return rejected(
        "no_usable_index",
        "$text needs a text index, and this server has none. Use $regex or $beginsWith on a field.",
    )


def invalid_bookmark(value: Any) -> ProtocolError:
    return rejected("invalid_bookmark", f"Invalid bookmark value: {shown(value)}")


def no_index_for_sort() -> ProtocolError:
    return rejected("no_usable_index", "No index exists for this sort, try indexing by the sort fields.")


def no_partitioned_index_for_sort() -> ProtocolError:
    return rejected(
        "no_usable_index", "No partitioned index exists for this sort, try indexing by the sort fields."
    )


def no_global_index_for_sort() -> ProtocolError:
    return rejected(
        "no_usable_index", "No global index exists for this sort, try indexing by the sort fields."
    )


def index_not_suitable(use_index: tuple[str, ...]) -> ProtocolError:
    """For `allow_fallback: false`. `use_index`: nothing, or a design document, or that and a name."""
    if not use_index:
        return rejected("invalid_index", "You must specify an index with the `use_index` parameter.")
    named = ", ".join((f"_design/{use_index[0].removeprefix('_design/')}", *use_index[1:]))
    return rejected(
        "invalid_index",
        f"{named} specified by `use_index` could not be found or it is not suitable.",
    )


def index_service_unavailable(kind: str) -> ProtocolError:
    return ProtocolError(503, "required index service unavailable", kind)
