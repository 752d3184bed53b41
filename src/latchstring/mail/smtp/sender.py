"""Sending of a mail over SMTP (RFC 5321), and the interpretation of the server's replies."""

import re
import time
from collections.abc import Callable
from datetime import timedelta

import aiosmtplib
import structlog

from latchstring.domain.settings import RetryRules, SmtpSettings
from latchstring.mail.render import RenderedMail
from latchstring.mail.senders import Compose, DeliveryResult, OnDataSent, SendAttempt
from latchstring.mail.smtp.circuit_breaker import Circuit
from latchstring.mail.smtp.connections import Connection, ConnectionFailed, ConnectionRefused, Connections
from latchstring.mail.smtp.protocol import send_content

REPLY_TIMEOUT_SECONDS = timedelta(minutes=10)  # RFC 5321, section 4.5.3.2.6
REPLY_LIMIT = 500

_log = structlog.get_logger(__name__)
# A run of a token's characters is matched once, and only if a dot follows: many `ey-` must not take quadratic time.
_TOKEN = re.compile(r"(?<![\w-])(?=[\w-]++\.)[\w-]*ey[\w-]{8,}(?:\.[\w-]*){1,2}|(?<=token=)\S+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


class SmtpSender:
    """Sends over connections that are reused."""

    def __init__(
        self,
        settings: SmtpSettings,
        retry: RetryRules,
        *,
        reply_timeout: timedelta = REPLY_TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._circuit = Circuit(clock, first_cooldown=retry.first, factor=retry.factor)
        self._connections = Connections(settings, self._circuit, clock)
        self._reply_timeout = reply_timeout.total_seconds()

    def capacity(self) -> int:
        if self._circuit.cooldown_left():
            return 0
        return 1 if self._circuit.is_probing else self._connections.limit

    async def close_idle(self) -> None:
        await self._connections.close_idle()

    async def close(self) -> None:
        await self._connections.close()

    async def send(self, compose: Compose, *, on_data_sent: OnDataSent) -> SendAttempt:
        try:
            outcome = await self._try(compose, on_data_sent, fresh=False)
            if outcome is None:  # the server had closed a reused connection, which is no failure
                outcome = await self._try(compose, on_data_sent, fresh=True)
        except ConnectionFailed as failure:
            return SendAttempt(DeliveryResult.NOT_ATTEMPTED, again_in=failure.again_in)
        except ConnectionRefused as refusal:
            return self._new_refused_attempt(refusal)
        return outcome or SendAttempt(DeliveryResult.TEMPORARY_FAILURE)

    def _new_refused_attempt(self, refusal: ConnectionRefused) -> SendAttempt:
        cause = refusal.__cause__
        reply = _error_reply(cause) if isinstance(cause, aiosmtplib.SMTPResponseException) else None
        cooldown = self._circuit.cooldown_left()
        _log.warning(
            "mail server did not let us in", error=type(cause).__name__, reply=reply, seconds=cooldown.total_seconds()
        )
        return SendAttempt(DeliveryResult.SERVER_ERROR, reply, again_in=cooldown)

    async def _try(self, compose: Compose, on_data_sent: OnDataSent, *, fresh: bool) -> SendAttempt | None:
        async with self._connections.acquire(fresh=fresh) as connection:
            mail = await compose()
            return await _Transaction(connection, self._circuit, self._reply_timeout).run(mail, on_data_sent)


class _Transaction:
    """The SMTP transaction of one mail. Its result is a SendAttempt, or None when a reused connection was closed."""

    def __init__(self, connection: Connection, circuit: Circuit, reply_timeout: float) -> None:
        self._connection = connection
        self._client = connection.client
        self._circuit = circuit
        self._reply_timeout = reply_timeout
        self._is_clean = True

    async def run(self, mail: RenderedMail, on_data_sent: OnDataSent) -> SendAttempt | None:
        self._connection.is_usable = False  # stays so if this is cancelled
        try:
            outcome = await self._send(mail, on_data_sent)
        except _ConnectionClosed:
            return None
        except (aiosmtplib.SMTPException, OSError) as error:
            # connection lost, timeout, or an invalid reply: the next attempt uses a new connection
            return SendAttempt(DeliveryResult.TEMPORARY_FAILURE, _error_reply(error))
        self._connection.is_usable = self._is_clean
        return outcome

    async def _send(self, mail: RenderedMail, on_data_sent: OnDataSent) -> SendAttempt:
        if not self._can_send(mail):
            return SendAttempt(DeliveryResult.TEMPORARY_FAILURE)
        refused = await self._name_sender(mail) or await self._name_recipient(mail)
        return refused or await self._send_data(mail.content, on_data_sent)

    def _supports_utf8(self) -> bool:
        return self._client.supports_extension("smtputf8")

    def _is_international(self, mail: RenderedMail) -> bool:
        """Whether the envelope has the address as typed. Without SMTPUTF8 the ASCII form is used, if there is one."""
        return mail.utf8 or (not mail.typed.isascii() and self._supports_utf8())

    def _can_send(self, mail: RenderedMail) -> bool:
        can_send = not mail.utf8 or self._supports_utf8()
        if not can_send:
            _log.warning("mail server does not take international addresses", mail_id=str(mail.id))
        return can_send

    async def _name_sender(self, mail: RenderedMail) -> SendAttempt | None:
        options = ["SMTPUTF8"] if self._is_international(mail) else []
        try:
            await self._client.mail(mail.sender, options=options, encoding="utf-8")
        except aiosmtplib.SMTPSenderRefused as refusal:
            if refusal.code == _CLOSING and not self._connection.is_fresh:
                raise _ConnectionClosed from refusal
            self._circuit.report_mail_refused()
            await self._reset()
            return SendAttempt(
                DeliveryResult.SERVER_ERROR, _error_reply(refusal), again_in=self._circuit.cooldown_left()
            )
        except (aiosmtplib.SMTPServerDisconnected, ConnectionError) as error:
            if not self._connection.is_fresh:
                raise _ConnectionClosed from error
            self._is_clean = False
            self._circuit.report_mail_refused()
            return SendAttempt(DeliveryResult.SERVER_ERROR, again_in=self._circuit.cooldown_left())
        self._circuit.report_success()
        return None

    async def _name_recipient(self, mail: RenderedMail) -> SendAttempt | None:
        recipient = mail.typed if self._is_international(mail) else mail.recipient
        try:
            await self._client.rcpt(recipient, encoding="utf-8")
        except aiosmtplib.SMTPRecipientRefused as refusal:
            await self._reset()
            return SendAttempt(
                DeliveryResult.NO_RECIPIENT if _is_final(refusal.code) else DeliveryResult.TEMPORARY_FAILURE,
                _error_reply(refusal),
            )
        return None

    async def _send_data(self, content: bytes, on_data_sent: OnDataSent) -> SendAttempt:
        data_reply = await self._client.execute_command(b"DATA")
        if data_reply.code != _START_INPUT:
            await self._reset()
            return _interpret_reply(data_reply)
        try:
            final_reply = await send_content(
                self._client, content, on_sent=on_data_sent, timeout_seconds=self._reply_timeout
            )
        except BaseException:
            self._client.close()  # a late reply must not be read as the next mail's
            raise
        self._is_clean = final_reply.code != _CLOSING
        return _interpret_reply(final_reply)

    async def _reset(self) -> None:
        """Reset the transaction after a refusal, so that the connection can be reused."""
        try:
            if self._client.is_connected:
                await self._client.rset()
        except (aiosmtplib.SMTPException, OSError):
            self._is_clean = False


class _ConnectionClosed(Exception):
    """A reused connection was already closed by the server."""


_CLOSING, _START_INPUT = 421, 354


def _interpret_reply(reply: aiosmtplib.SMTPResponse) -> SendAttempt:
    if 200 <= reply.code < 300:  # noqa: PLR2004  # RFC 5321, section 4.2.1
        return SendAttempt(DeliveryResult.ACCEPTED, _format_reply(reply.code, reply.message))
    return SendAttempt(
        DeliveryResult.REFUSED if _is_final(reply.code) else DeliveryResult.TEMPORARY_FAILURE,
        _format_reply(reply.code, reply.message),
    )


def _is_final(code: int) -> bool:
    return 500 <= code < 600  # noqa: PLR2004  # RFC 5321, section 4.2.1


def _error_reply(error: BaseException) -> str | None:
    if not isinstance(error, aiosmtplib.SMTPResponseException) or error.code <= 0:
        return None
    return _format_reply(error.code, error.message)


def _format_reply(code: int, message: str) -> str:
    """Return the server's reply on one line without tokens, as some filters quote the link they reject."""
    line = " ".join(_CONTROL.sub(" ", f"{code} {message}").split())
    return _TOKEN.sub("…", line)[:REPLY_LIMIT]
