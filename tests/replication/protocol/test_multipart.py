"""Multipart bodies: what is in them, however they are cut; and what is none."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.protocol.multipart import (
    MAX_HEADER_SIZE,
    Ended,
    Event,
    MultipartError,
    Parser,
    PartData,
    PartEnded,
    PartStarted,
    Writer,
    boundary_of,
    disposition,
    filename_of,
    parse_value,
)
from tests.examples import examples


def parse(pieces: Iterable[bytes], boundary: str = "b", **limits: int) -> list[Event]:
    """The events of a whole body, data that comes in a row joined."""
    parser = Parser(boundary, **limits)
    events: list[Event] = []
    for piece in pieces:
        for event in parser.feed(piece):
            last = events[-1] if events else None
            if isinstance(event, PartData) and isinstance(last, PartData):
                assert event.data
                events[-1] = PartData(last.data + event.data)
            else:
                events.append(event)
    parser.close()
    return events


def contents(events: Iterable[Event]) -> list[bytes]:
    """The data of each part."""
    found: list[bytes] = []
    for event in events:
        if isinstance(event, PartStarted):
            found.append(b"")
        elif isinstance(event, PartData):
            found[-1] += event.data
    return found


def parts(body: bytes, **limits: int) -> list[bytes]:
    return contents(parse([body], "b", **limits))


# -- what is in a body -------------------------------------------------------------------------


def test_a_document_with_its_attachments() -> None:
    body = (
        b'--b\r\nContent-Type: application/json\r\n\r\n{"a":1}'
        b'\r\n--b\r\nContent-Disposition: attachment; filename="f"\r\nContent-Length: 2\r\n\r\nhi'
        b"\r\n--b--"
    )
    assert parse([body]) == [
        PartStarted({"content-type": "application/json"}, 1),
        PartData(b'{"a":1}'),
        PartEnded(1),
        PartStarted({"content-disposition": 'attachment; filename="f"', "content-length": "2"}, 1),
        PartData(b"hi"),
        PartEnded(1),
        Ended(),
    ]


def test_documents_with_attachments_among_others() -> None:
    body = (
        b'--b\r\nContent-Type: multipart/related; boundary="i"\r\n\r\n'
        b"--i\r\n\r\n{}\r\n--i\r\n\r\nhi\r\n--i--"
        b"\r\n--b\r\n\r\n{}\r\n--b--"
    )
    assert parse([body], depth=2) == [
        PartStarted({"content-type": 'multipart/related; boundary="i"'}, 1, nested=True),
        PartStarted({}, 2),
        PartData(b"{}"),
        PartEnded(2),
        PartStarted({}, 2),
        PartData(b"hi"),
        PartEnded(2),
        PartEnded(1),
        PartStarted({}, 1),
        PartData(b"{}"),
        PartEnded(1),
        Ended(),
    ]


def test_a_multipart_deeper_than_asked_is_data() -> None:
    inner = b"--i\r\n\r\nx\r\n--i--"
    body = b"--b\r\nContent-Type: multipart/related; boundary=i\r\n\r\n" + inner + b"\r\n--b--"
    assert parts(body) == [inner]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"--b--", []),
        (b"--b\r\n\r\n\r\n--b--", [b""]),
        (b"--b\r\nA: 1\r\n\r\n\r\n--b--", [b""]),
        # RFC 2046 lets a part without data end with its headers.
        (b"--b\r\nA: 1\r\n\r\n--b--", [b""]),
        (b"--b\r\n\r\n--b\r\n\r\nx\r\n--b--", [b"", b"x"]),
        (b"--b\r\n\r\n\r\n\r\n--b--", [b"\r\n"]),
        # before the first boundary, behind the last, and behind any
        (b"hello\r\n--b\r\n\r\nx\r\n--b--", [b"x"]),
        (b"\r\n--b\r\n\r\nx\r\n--b--\r\nbye --b --b-- \r\n--b\r\n", [b"x"]),
        (b"--b \t \r\n\r\nx\r\n--b\t\r\n\r\ny\r\n--b--", [b"x", b"y"]),
        # what only looks like a boundary
        (b"--b\r\n\r\n--b--x\r\n--bx\r\n--b-\r\n--bb--\r\n-- b\r\n--b--", [b""]),
        (b"--b\r\n\r\n--bx\r\n--b-\r\n--b -\r\n-- b\r\n--b--", [b"--bx\r\n--b-\r\n--b -\r\n-- b"]),
        (b"--b\r\n\r\n\n--b--\n--b\r\r--b--\r\n--b--", [b"\n--b--\n--b\r\r--b--"]),
        (b"--b\r\n\r\n\r\r\n\r\n-\r\n--\r\n--b--", [b"\r\r\n\r\n-\r\n--"]),
        (b"--b\r\n\r\nx\r\n--b" + b" " * 300 + b"\r\n\r\n--b--", [b"x\r\n--b" + b" " * 300 + b"\r\n"]),
    ],
)  # fmt: skip
def test_parts(body: bytes, expected: list[bytes]) -> None:
    assert parts(body) == expected
    assert contents(parse(body[i : i + 1] for i in range(len(body)))) == expected


@pytest.mark.parametrize(
    ("outer", "inner"), [("b", "bc"), ("bc", "b"), ("b", "b-"), ("b-", "b"), ("b--", "b")]
)
def test_a_boundary_may_begin_with_another(outer: str, inner: str) -> None:
    whole, part = Writer(outer), Writer(inner)
    body = (
        whole.part({"Content-Type": part.content_type()}) + part.part({}) + b"1" + part.part({}) + b"2"
        + part.end() + whole.part({}) + b"3" + whole.end()
    )  # fmt: skip
    expected = [b"", b"1", b"2", b"3"]
    assert contents(parse([body], outer, depth=2)) == expected
    assert contents(parse((body[i : i + 1] for i in range(len(body))), outer, depth=2)) == expected


def test_headers_are_unfolded_and_their_names_lower_case() -> None:
    body = b"--b\r\nX-A:1\r\nx-b:\tm\xc3\xbc \r\nX-C: a\r\n  b\r\nX-D: \xe4\r\nX-E:\r\n\r\nx\r\n--b--"
    (started, *_) = parse([body])
    assert isinstance(started, PartStarted)
    assert started.headers == {"x-a": "1", "x-b": "mü", "x-c": "a b", "x-d": "ä", "x-e": ""}


# -- what is none ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "cut short"),
        (b"--b", "cut short"),
        (b"--b\r\n", "cut short"),
        (b"--b\r\nA: 1\r\n", "cut short"),
        (b"--b\r\n\r\nx", "cut short"),
        (b"--b\r\n\r\nx\r\n--b\r\n", "cut short"),
        (b"--b\r\n\r\nx\r\n--b-", "cut short"),
        (b"--other\r\n\r\nx\r\n--other--", "cut short"),
        (b"--b\nA: 1\n\nx\n--b--", "cut short"),
        (b"--b\r\nno header\r\n\r\nx\r\n--b--", "no header"),
        (b"--b\r\n: 1\r\n\r\nx\r\n--b--", "no header"),
        (b"--b\r\nA B: 1\r\n\r\nx\r\n--b--", "no header"),
        (b"--b\r\n folded: 1\r\n\r\nx\r\n--b--", "no header"),
        (b"--b\r\nA: 1\r\na: 2\r\n\r\nx\r\n--b--", "twice"),
        (b"--b\r\nA: " + b"x" * MAX_HEADER_SIZE + b"\r\n\r\nx\r\n--b--", "longer than"),
        (b"--b\r\nA: " + b"x" * 2 * MAX_HEADER_SIZE, "longer than"),
        (b"x" * (MAX_HEADER_SIZE + 1) + b"--b--", "before the first"),
        (b"--b--" + b"x" * (MAX_HEADER_SIZE + 1), "behind the last"),
    ],
)
def test_refused(body: bytes, reason: str) -> None:
    for size in (len(body) or 1, 1 if len(body) < 100 else 1000):
        with pytest.raises(MultipartError, match=reason) as raised:
            parse(body[i : i + size] for i in range(0, len(body), size))
        assert (raised.value.status, raised.value.error) == (400, "bad_request")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"--b\r\nContent-Type: multipart/related\r\n\r\n--b--", "name its boundary"),
        (b"--b\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b--", "boundary of the one around"),
        (b"--b\r\nContent-Type: multipart/related; boundary=i\r\n\r\n\r\n--b--", "nested multipart is cut"),
        (b"--b\r\nContent-Type: multipart/related; boundary=i\r\n\r\n--i\r\n\r\nx\r\n--b--", "nested multi"),
        (b"--b\r\nContent-Type: multipart/related; boundary=i\r\n\r\n--i\r\n\r\nx\r\n--i--", "cut short"),
    ],
)  # fmt: skip
def test_nested_refused(body: bytes, reason: str) -> None:
    with pytest.raises(MultipartError, match=reason):
        parse([body], depth=2)


def test_too_many_parts_are_refused() -> None:
    assert len(parts(b"--b\r\n\r\n" + b"\r\n--b\r\n\r\n" * 9 + b"\r\n--b--", max_parts=10)) == 10
    with pytest.raises(MultipartError, match="10 parts"):
        parts(b"--b\r\n\r\n" + b"\r\n--b\r\n\r\n" * 10 + b"\r\n--b--", max_parts=10)


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [b"\r\n--b", b"\r\n--", b"\r", b"\r\n", b"\r\n--b-", b"\r\n--b ", b"\r\n--b\r", b"\r\n--b\r\n\r\n",
     b"x" * 100, b"\r\n--b\r\nA: 1\r\n\r\n", b"\r\n--b" + b" " * 256, b"\r\n--ii", b"\r\n--i\r\n\r\n"],
)  # fmt: skip
@pytest.mark.parametrize(
    "head", [b"--b\r\n\r\n", b"--b\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\n"]
)
def test_hostile_data_takes_linear_time_and_no_memory(head: bytes, piece: bytes) -> None:
    parser = Parser("b", depth=2)
    started = time.process_time()
    pending = 0
    try:
        list(parser.feed(head))
        data = piece * (256 * 1024 // len(piece))
        for _ in range(4):
            list(parser.feed(data))
            pending = max(pending, len(parser._buffer))
    except MultipartError:
        pass
    assert pending < 1000
    assert time.process_time() - started < 5


@pytest.mark.parametrize("piece", [b"\r\n--", b"\r\n--bx"])
def test_data_full_of_almost_boundaries_is_read_quickly(piece: bytes) -> None:
    parser = Parser("b")
    list(parser.feed(b"--b\r\n\r\n"))
    data = piece * (64 * 1024 // len(piece))
    started = time.process_time()
    size = sum(
        len(event.data) for _ in range(320) for event in parser.feed(data) if isinstance(event, PartData)
    )
    assert size > 320 * len(data) - 1000
    assert time.process_time() - started < 3


# -- properties --------------------------------------------------------------------------------

BOUNDARY = st.from_regex(r"[0-9A-Za-z'()+_,./:=?-]{1,20}", fullmatch=True)
TRICKY = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"-", b"--", b"b", b"\r\n--", b"\r\n--b", b" ", b"x", b"\r\n--bc", b"\x00"]
    ),
    max_size=12,
).map(b"".join)
HEADERS = st.dictionaries(
    st.from_regex(r"[a-z][a-z-]{0,8}", fullmatch=True).filter(lambda name: name != "content-type"),
    st.text(st.characters(blacklist_categories=["Cc", "Cs", "Z"]), max_size=12),
    max_size=3,
)


def cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[a:b] for a, b in pairwise(marks)]


@given(st.lists(TRICKY, max_size=4), st.lists(st.integers(0, 10_000), max_size=12))
def test_events_do_not_depend_on_how_the_body_is_cut(junk: list[bytes], places: list[int]) -> None:
    body = b"--b\r\n\r\n" + b"\r\n--b\r\n\r\n".join(junk) + b"\r\n--b--"

    def outcome(pieces: Iterable[bytes]) -> object:
        try:
            return parse(pieces)
        except MultipartError as error:
            return error.reason

    assert outcome(cut(body, places)) == outcome([body])


@given(
    BOUNDARY,
    st.lists(st.tuples(HEADERS, st.binary(max_size=40) | TRICKY), max_size=5),
    st.lists(st.integers(0)),
)
def test_what_the_writer_writes_the_parser_reads(
    boundary: str, given_parts: list[tuple[dict[str, str], bytes]], places: list[int]
) -> None:
    if any(b"--" + boundary.encode() in data for _, data in given_parts):
        return
    writer = Writer(boundary)
    body = b"".join([writer.part(headers) + data for headers, data in given_parts]) + writer.end()
    if not given_parts:
        body = b"--" + boundary.encode() + b"--"
    events = parse(cut(body, places), boundary_of(writer.content_type()))
    assert [event.headers for event in events if isinstance(event, PartStarted)] == [
        h for h, _ in given_parts
    ]
    assert contents(events) == [data for _, data in given_parts]


@given(
    BOUNDARY,
    BOUNDARY,
    st.lists(st.lists(st.binary(max_size=20), max_size=3), max_size=3),
    st.lists(st.integers(0)),
)
@settings(max_examples=examples(50))
def test_nested_multiparts_survive_the_round_trip(
    outer: str, inner: str, groups: list[list[bytes]], places: list[int]
) -> None:
    inner += "-inner"
    outer += "-outer"
    whole = Writer(outer)
    body = b""
    for group in groups:
        part = Writer(inner)
        body += whole.part({"Content-Type": part.content_type()})
        body += b"".join([part.part({}) + data for data in group]) + part.end()
    events = parse(cut(body + whole.end(), places), outer, depth=2)
    assert contents(events) == [data for group in groups for data in [b"", *group]]


@given(st.binary(max_size=200) | TRICKY, st.integers(1, 3))
def test_anything_ends_in_events_or_an_error(data: bytes, depth: int) -> None:
    parser = Parser("b", depth=depth)
    try:
        for _ in range(3):
            list(parser.feed(data))
        parser.close()
    except MultipartError:
        pass


# -- headers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ('multipart/related; boundary="abc"', "abc"),
        ("multipart/related;boundary=abc", "abc"),
        ('Multipart/Related; type="application/json"; BOUNDARY = "a b\\"c" ; x=y', 'a b"c'),
        ('multipart/mixed; x="; boundary=no"; boundary=yes', "yes"),
        ("multipart/related; boundary=a; boundary=b", "a"),
        (f"multipart/related; boundary={'x' * 70}", "x" * 70),
    ],
)
def test_boundary(header: str, boundary: str) -> None:
    assert boundary_of(header) == boundary


@pytest.mark.parametrize(
    "header",
    [
        "",
        "multipart/related",
        "multipart/related; boundary",
        "multipart/related; boundary=",
        'multipart/related; boundary=""',
        'multipart/related; boundary="a ',
        'multipart/related; boundary="a "',
        'multipart/related; boundary="ä"',
        'multipart/related; boundary="a\r\nb"',
        f"multipart/related; boundary={'x' * 71}",
        'multipart/related; x="; boundary=no"',
    ],
)
def test_no_boundary(header: str) -> None:
    with pytest.raises(MultipartError):
        boundary_of(header)


def test_parsing_a_long_header_takes_linear_time() -> None:
    started = time.process_time()
    for text in (
        ';a="' * 20_000,
        ";a=" * 20_000,
        ";" * 60_000,
        '; a="' + '\\"' * 30_000,
        "; " + "a" * 60_000,
    ):
        parse_value("multipart/related" + text)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "name", ["f.txt", "ä ö.txt", 'a"b', "a\\b", "a;b=c", "a\r\nX: y", "dir/f", "", "%20"]
)
def test_names_of_attachments_survive(name: str) -> None:
    body = Writer("b").part({"Content-Disposition": disposition(name)}) + b"\r\n--b--"
    (started, *_) = parse([body])
    assert isinstance(started, PartStarted)
    assert filename_of(started.headers) == name


@pytest.mark.parametrize("header", ["attachment", "attachment; name=x", ""])
def test_no_name(header: str) -> None:
    assert filename_of({"content-disposition": header}) is None
    assert filename_of({}) is None


def test_the_writer_lets_no_header_break_its_line() -> None:
    with pytest.raises(ValueError, match="line break"):
        Writer().part({"X": "a\r\nb: c"})


def test_boundaries_are_random() -> None:
    assert Writer().boundary != Writer().boundary
