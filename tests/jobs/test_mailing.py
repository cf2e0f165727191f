"""Letters, and a real mail server that gets them."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from kompass.jobs.catalogue import BY_NAME
from kompass.jobs.letters import Letter, letter
from kompass.jobs.mailing import sender
from kompass.jobs.outcomes import LaterError, NeverError
from kompass.jobs.service import View
from tests.servers import free_port

AUTHOR = "KOMPASS <kompass@example.com>"
LETTER = Letter("anna@example.com", "Eine Aufgabe ist fällig: Regal prüfen", "Guten Tag Änne,\n\nText.\n")


class Box:
    """What the server does with what it gets."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.answer = "250 OK"
        self.recipient = "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if self.recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            self.got.append(message_from_bytes(envelope.content, policy=default))
        return self.answer


@pytest.fixture
def box() -> Iterator[tuple[Box, str]]:
    one = Box()
    port = free_port()
    controller = Controller(one, hostname="127.0.0.1", port=port)
    controller.start()
    yield one, f"smtp://127.0.0.1:{port}"
    controller.stop()


def test_a_letter_comes_as_it_was_written(box: tuple[Box, str]) -> None:
    sender(box[1], AUTHOR)(LETTER, "job-1")
    (got,) = box[0].got
    assert (got["To"], got["Subject"]) == (LETTER.to, LETTER.subject)
    assert got["From"] == AUTHOR
    assert got["Message-ID"] == "<job-1@example.com>"
    assert got["Auto-Submitted"] == "auto-generated"
    assert got.get_content().replace("\r\n", "\n") == LETTER.text  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("recipient", "answer", "error"),
    [
        ("550 no such user", "250 OK", NeverError),
        ("450 busy", "250 OK", LaterError),
        ("250 OK", "451 try later", LaterError),
    ],
)
def test_what_a_server_refuses(
    box: tuple[Box, str], recipient: str, answer: str, error: type[Exception]
) -> None:
    box[0].recipient, box[0].answer = recipient, answer
    with pytest.raises(error) as raised:
        sender(box[1], AUTHOR)(LETTER, "job-1")
    assert "anna" not in str(raised.value)
    assert box[0].got == []


def test_a_server_that_is_not_there(box: tuple[Box, str]) -> None:
    with pytest.raises(LaterError, match="can't be reached"):
        sender("smtp://127.0.0.1:1", AUTHOR)(LETTER, "job-1")


def test_a_password_is_not_sent_in_clear(box: tuple[Box, str]) -> None:
    seen: list[Any] = []

    def authenticate(*arguments: Any) -> AuthResult:
        seen.append(arguments)
        return AuthResult(success=True)

    port = free_port()
    controller = Controller(
        Box(), hostname="127.0.0.1", port=port, authenticator=authenticate, auth_require_tls=False
    )
    controller.start()
    try:
        with pytest.raises(LaterError, match="no TLS"):
            sender(f"smtp://me:geheim@127.0.0.1:{port}", AUTHOR)(LETTER, "job-1")
        assert seen == []
    finally:
        controller.stop()


@pytest.mark.parametrize("address", ["a@b\r\nBcc: x@y.z", "nobody", "a b@c.d", "<a@b.c>", "a@b.c, d@e.f"])
def test_an_address_that_is_none(box: tuple[Box, str], address: str) -> None:
    view = View(True, address, "Anna", {})
    written = letter(BY_NAME["user_task.due"], view, {"title": "Regal prüfen"})
    if written is not None:
        with pytest.raises(NeverError):
            sender(box[1], AUTHOR)(written, "job-1")
    assert box[0].got == []


def test_a_letter_says_what_its_reader_may_know_on_lines_of_its_own() -> None:
    view = View(True, "anna@example.com", "Anna\nSchmidt", {})
    task = {"title": "Regal\r\nBcc: x@y.z \x00" + "x" * 500, "dueDate": "2026-03-10", "status": ["open"]}
    written = letter(BY_NAME["user_task.due"], view, task)
    assert written is not None
    assert "\n" not in written.subject
    assert "\r" not in written.text
    assert "Fällig am: 2026-03-10" in written.text
    assert "Status" not in written.text
    assert written.text.startswith("Guten Tag Anna Schmidt,\n")


def test_who_has_no_address_gets_no_mail() -> None:
    assert letter(BY_NAME["user_task.due"], View(True, "", "A", {}), {}) is None
