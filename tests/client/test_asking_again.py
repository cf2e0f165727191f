"""When a request is sent a second time, and when it must not be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from kompass.client import Client, ProblemError, UnreachableError

Answer = httpx.Response | Exception


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


def client(*answers: Answer, patience: float = 60.0) -> tuple[Client, list[httpx.Request]]:
    """One whose server answers so, in turn, and the requests that it gets."""
    asked: list[httpx.Request] = []
    left = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    transport = httpx.MockTransport(answer)
    return Client("http://server", user="anna", password="pw", patience=patience, transport=transport), asked


def page() -> httpx.Response:
    return httpx.Response(200, json={"items": [], "next": None})


def made() -> httpx.Response:
    return httpx.Response(201, json={"_id": "customer-1", "_rev": "1-a"})


def busy(status: int, seconds: str = "3") -> httpx.Response:
    return httpx.Response(status, json={"detail": "later"}, headers={"retry-after": seconds})


Use = Callable[[Client], object]
READ: Use = lambda asking: asking.resource("customers").page()  # noqa: E731
CREATE: Use = lambda asking: asking.resource("customers").create({"companyName": "Hof"})  # noqa: E731
POST: Use = lambda asking: asking.post("/access/dry-run", {})  # noqa: E731


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("use", "good"), [(READ, page), (CREATE, made)])
def test_it_comes_again_when_the_server_says_so(
    no_pauses: list[float], status: int, use: Use, good: Callable[[], httpx.Response]
) -> None:
    asking, asked = client(busy(status), good())
    use(asking)
    assert len(asked) == 2
    assert len(no_pauses) == 1
    assert 3.0 <= no_pauses[0] <= 3.6
    assert asked[0].headers.get("idempotency-key") == asked[1].headers.get("idempotency-key")
    assert asked[0].content == asked[1].content


def test_what_may_have_been_done_is_sent_again_under_its_key_alone() -> None:
    asking, asked = client(page(), httpx.ReadError("gone"), made())
    READ(asking)
    CREATE(asking)
    assert asked[1].headers["idempotency-key"] == asked[2].headers["idempotency-key"]
    asking, asked = client(page(), httpx.ReadError("gone"))
    READ(asking)
    with pytest.raises(UnreachableError, match="gone"):
        POST(asking)
    assert len(asked) == 2
    asking, asked = client(busy(503))
    with pytest.raises(ProblemError):
        POST(asking)
    assert len(asked) == 1


def test_each_write_has_a_key_of_its_own() -> None:
    asking, asked = client(made(), made())
    CREATE(asking)
    CREATE(asking)
    assert asked[0].headers["idempotency-key"] != asked[1].headers["idempotency-key"]


def test_a_server_that_was_never_there_is_not_waited_for() -> None:
    asking, asked = client(httpx.ConnectError("refused"))
    with pytest.raises(UnreachableError, match="http://server can't be reached: refused"):
        READ(asking)
    assert len(asked) == 1


def test_patience_ends(no_pauses: list[float]) -> None:
    asking, asked = client(busy(429, "61"), patience=60)
    with pytest.raises(ProblemError) as caught:
        READ(asking)
    assert caught.value.status == 429
    assert (len(asked), no_pauses) == (1, [])


def test_what_is_streamed_is_sent_once() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"abc"

    asking, asked = client(busy(429))
    with pytest.raises(ProblemError):
        asking.resource("customers").attach("customer-1", "plan.txt", pieces())
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0.5, 0.6),
        ("soon", 0.5, 0.6),
        ("-1", 0.5, 0.6),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0, 0.0),
        ("Thu, 01 Jan 99999999999999999999 00:00:00 GMT", 0.5, 0.6),
    ],
)
def test_times_that_servers_write(no_pauses: list[float], text: str, least: float, most: float) -> None:
    asking, _ = client(busy(429, text), page())
    READ(asking)
    assert least <= no_pauses[0] <= most


def test_problems_say_what_was_wrong_where() -> None:
    told = {
        "detail": "companyName is missing.",
        "rule": "model",
        "errors": [{"pointer": "/companyName", "detail": "It is missing."}, "nonsense"],
    }
    asking, _ = client(httpx.Response(422, json=told))
    with pytest.raises(ProblemError) as caught:
        CREATE(asking)
    problem = caught.value
    assert (problem.status, problem.rule, problem.detail) == (422, "model", "companyName is missing.")
    assert [(one.pointer, one.detail) for one in problem.errors] == [("/companyName", "It is missing.")]
    assert str(problem) == "companyName is missing.\n  /companyName: It is missing."


@pytest.mark.parametrize("body", ["<html>", "[]", "null", ""])
def test_somebody_else_s_answer_is_no_traceback(body: str) -> None:
    asking, _ = client(httpx.Response(502, text=body))
    with pytest.raises((ProblemError, UnreachableError)):
        READ(asking)


def _read(asking: Client) -> bytes:
    with asking.stream("/customers/export") as pieces:
        return b"".join(pieces)


@pytest.mark.parametrize("first", [busy(429), busy(503), httpx.ReadError("gone")], ids=["429", "503", "lost"])
def test_what_is_read_piece_by_piece_is_asked_again_before_it_begins(
    no_pauses: list[float], first: Answer
) -> None:
    asking, asked = client(page(), first, httpx.Response(200, content=b"a;b"))
    READ(asking)
    assert _read(asking) == b"a;b"
    assert (len(asked), len(no_pauses)) == (3, 1)


def test_what_broke_while_it_was_read_is_said() -> None:
    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"a;"
            raise httpx.ReadError("gone")

    asking, asked = client(httpx.Response(200, stream=Broken()))
    with pytest.raises(UnreachableError, match="gone"):
        _read(asking)
    assert len(asked) == 1
    asking, asked = client(httpx.Response(404, json={"detail": "There is none."}))
    with pytest.raises(ProblemError, match="There is none"):
        _read(asking)


def test_a_write_that_is_still_worked_on_is_waited_for() -> None:
    asking, asked = client(page(), httpx.ReadError("gone"), busy(409, "1"), made())
    READ(asking)
    CREATE(asking)
    assert len({one.headers["idempotency-key"] for one in asked[1:]}) == 1
    asking, asked = client(httpx.Response(409, json={"detail": "final"}))
    with pytest.raises(ProblemError):
        CREATE(asking)
    assert len(asked) == 1


def test_a_minute_is_waited_for() -> None:
    asking, asked = client(busy(429, "60"), page(), patience=90)
    READ(asking)
    assert len(asked) == 2
