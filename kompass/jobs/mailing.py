"""Sends letters by SMTP."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from urllib.parse import unquote, urlsplit

from kompass.jobs.letters import Letter
from kompass.jobs.outcomes import LaterError, NeverError

SECONDS = 20.0
"""For each step of a delivery."""


def sender(url: str, author: str) -> Callable[[Letter, str], None]:
    """`url`: `smtp://HOST:PORT` (with TLS if the server offers it), `smtps://…` (TLS from the beginning);
    `NAME:PASSWORD@` before the host logs in, over TLS only. `author`: the address that mails come from.
    """
    parts = urlsplit(url)
    host, tls = parts.hostname or "localhost", parts.scheme == "smtps"
    port = parts.port or (465 if tls else 25)
    login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None

    def send(letter: Letter, ident: str) -> None:
        """Raises `LaterError`, `NeverError`."""
        message = _message(letter, ident, author)
        try:
            with _connect(host, port, tls) as connection:
                if not tls and connection.has_extn("starttls"):
                    connection.starttls(context=ssl.create_default_context())
                    connection.ehlo()
                    secure = True
                else:
                    secure = tls
                if login is not None:
                    if not secure:
                        raise LaterError("the mail server offers no TLS: the password isn't sent without")
                    connection.login(*login)
                connection.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = {code for code, _ in error.recipients.values()}
            if all(500 <= code < 600 for code in codes):
                raise NeverError(f"the mail server refuses the address ({_told(codes)})") from error
            raise LaterError(f"the mail server doesn't take it now ({_told(codes)})") from error
        except smtplib.SMTPNotSupportedError as error:
            raise NeverError("the mail server can't take such an address") from error
        except smtplib.SMTPResponseException as error:
            raise LaterError(f"the mail server answers {error.smtp_code}") from error
        except (OSError, smtplib.SMTPException) as error:
            raise LaterError(f"the mail server can't be reached: {type(error).__name__}") from error

    return send


def _connect(host: str, port: int, tls: bool) -> smtplib.SMTP:
    if tls:
        return smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=ssl.create_default_context())
    connection = smtplib.SMTP(host, port, timeout=SECONDS)
    connection.ehlo()
    return connection


def _message(letter: Letter, ident: str, author: str) -> EmailMessage:
    name, address = parseaddr(author)
    message = EmailMessage()
    try:
        message["From"] = Address(name or "KOMPASS", addr_spec=address)
        message["To"] = Address(addr_spec=letter.to)
    except (ValueError, IndexError, MessageError) as error:
        raise NeverError("the address can't be written to") from error
    message["Subject"] = letter.subject
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{ident}@{address.rpartition('@')[2] or 'kompass.invalid'}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    return message


def _told(codes: set[int]) -> str:
    return ", ".join(map(str, sorted(codes)))
