"""What the service does with the server's answers: wait, try again for a while, or give up."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from kompass.answers import Again, again
from kompass.jobs.outcomes import LaterError, NeverError
from kompass.jobs.service import RefusedError, Server, ServerUnavailableError

Asking = Callable[[Server], object]
ASKING: dict[str, Asking] = {
    "document": lambda server: server.document("customer-1"),
    "view": lambda server: server.view("adm1", ["customer-1"]),
    "people": lambda server: server.people("GF"),
    "receiver": lambda server: server.receiver("crm"),
    "write": lambda server: server.write("notification-1", {"type": "notification"}),
}
OURS = {"error": "x", "detail": "that is why"}


def answering(status: int, json: object = None, text: str = "<html>") -> Server:
    def answer(_: httpx.Request) -> httpx.Response:
        if json is None:
            return httpx.Response(status, text=text)
        headers = {"content-type": "application/problem+json"} if json is OURS else {}
        return httpx.Response(status, json=json, headers=headers)

    return Server("http://server", "x" * 40, transport=httpx.MockTransport(answer))


@pytest.mark.parametrize("asked", ASKING)
@pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504, 522])
def test_it_waits_while_the_server_is_not_up_to_it(status: int, asked: str) -> None:
    with pytest.raises(ServerUnavailableError, match=str(status)):
        ASKING[asked](answering(status, OURS))


@pytest.mark.parametrize("asked", ASKING)
@pytest.mark.parametrize("status", [302, 401, 500])
def test_what_may_be_mended_is_tried_for_a_while(status: int, asked: str) -> None:
    with pytest.raises(LaterError, match=f"{status}: that is why"):
        ASKING[asked](answering(status, OURS))


@pytest.mark.parametrize("asked", ASKING)
@pytest.mark.parametrize("status", [400, 404, 405, 413, 414, 431])
def test_what_is_wrong_for_good_is_given_up_at_once(status: int, asked: str) -> None:
    """Also a 404 of something in between, which says nothing of documents."""
    with pytest.raises(NeverError, match=str(status)):
        ASKING[asked](answering(status))


@pytest.mark.parametrize("asked", ASKING)
def test_a_proxy_that_keeps_the_service_out_refuses_nothing(asked: str) -> None:
    with pytest.raises(LaterError, match="403"):
        ASKING[asked](answering(403))


def test_a_refusal_is_the_servers() -> None:
    for status in (403, 422):
        with pytest.raises(RefusedError, match="that is why"):
            ASKING["write"](answering(status, OURS))


def test_what_is_not_there() -> None:
    for name in ("view", "receiver"):
        assert ASKING[name](answering(404, OURS)) is None
    for reason in ("missing", "deleted"):
        assert ASKING["document"](answering(404, {"error": "not_found", "reason": reason})) is None


def test_a_database_that_is_not_there_is_no_document_that_is_gone() -> None:
    with pytest.raises(LaterError, match="does not exist"):
        ASKING["document"](answering(404, {"error": "not_found", "reason": "Database does not exist."}))


@pytest.mark.parametrize("asked", ASKING)
@pytest.mark.parametrize("status", [403, 404, 422])
def test_what_something_in_between_says_in_json_is_not_the_servers_word(status: int, asked: str) -> None:
    with pytest.raises(LaterError if status == 403 else NeverError, match=str(status)):
        ASKING[asked](answering(status, {"detail": "Not Found"}))


@pytest.mark.parametrize("asked", ["document", "write"])
@pytest.mark.parametrize("said", [{"error": "x"}, {"_id": "customer-2"}, [], 5])
def test_json_of_something_else_is_neither_a_document_nor_a_receipt(asked: str, said: object) -> None:
    with pytest.raises(LaterError, match="something else answers"):
        ASKING[asked](answering(200, said))


@pytest.mark.parametrize("asked", ASKING)
def test_something_else_that_answers(asked: str) -> None:
    with pytest.raises(LaterError, match="no JSON"):
        ASKING[asked](answering(200))


def test_every_status_has_its_verdict() -> None:
    by = {one: {status for status in range(300, 600) if again(status) is one} for one in Again}
    assert {408, 425, 429, 502, 503, 504, 599} <= by[Again.LATER]
    assert {301, 401, 403, 500, 501} <= by[Again.MENDED]
    assert {400, 404, 409, 410, 414, 422, 431} <= by[Again.NEVER]
