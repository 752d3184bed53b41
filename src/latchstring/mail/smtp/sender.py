"""One mail over SMTP (RFC 5321): say it, wait for the last word, and tell whose fault a refusal is."""

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
# A run of a token's letters is entered once, and only if a dot follows: many `ey-` must not cost their square.
_TOKEN = re.compile(r"(?<![\w-])(?=[\w-]++\.)[\w-]*ey[\w-]{8,}(?:\.[\w-]*){1,2}|(?<=token=)\S+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


class SmtpSender:
    """Sends over connections that are kept and used again."""

    def __init__(
        self,
        settings: SmtpSettings,
        retry: RetryRules,
        *,
        dot_patience: timedelta = REPLY_TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._circuit = Circuit(clock, first_rest=retry.first, factor=retry.factor)
        self._connections = Connections(settings, self._circuit, clock)
        self._dot_patience = dot_patience.total_seconds()

    def capacity(self) -> int:
        if self._circuit.rest_left():
            return 0
        return 1 if self._circuit.is_probing else self._connections.most

    async def tidy(self) -> None:
        await self._connections.tidy()

    async def close(self) -> None:
        await self._connections.close()

    async def send(self, compose: Compose, *, on_data_sent: OnDataSent) -> SendAttempt:
        try:
            outcome = await self._try(compose, on_data_sent, fresh=False)
            if outcome is None:  # a kept connection had been closed by the server meanwhile: that is nobody's failure
                outcome = await self._try(compose, on_data_sent, fresh=True)
        except ConnectionFailed as absent:
            return SendAttempt(DeliveryResult.NOT_ATTEMPTED, again_in=absent.again_in)
        except ConnectionRefused as refusal:
            return self._not_let_in(refusal)
        return outcome or SendAttempt(DeliveryResult.LATER)

    def _not_let_in(self, refusal: ConnectionRefused) -> SendAttempt:
        cause = refusal.__cause__
        reply = _words(cause) if isinstance(cause, aiosmtplib.SMTPResponseException) else None
        rest = self._circuit.rest_left()
        _log.warning(
            "mail server did not let us in", error=type(cause).__name__, reply=reply, seconds=rest.total_seconds()
        )
        return SendAttempt(DeliveryResult.TROUBLE, reply, again_in=rest)

    async def _try(self, compose: Compose, on_data_sent: OnDataSent, *, fresh: bool) -> SendAttempt | None:
        async with self._connections.lend(fresh=fresh) as connection:
            mail = await compose()
            return await _Conversation(connection, self._circuit, self._dot_patience).hold(mail, on_data_sent)


class _Conversation:
    """The exchange about one mail. Every end of it is an Outcome; None: the kept connection was dead from the start."""

    def __init__(self, connection: Connection, circuit: Circuit, dot_patience: float) -> None:
        self._connection = connection
        self._client = connection.client
        self._circuit = circuit
        self._dot_patience = dot_patience
        self._is_clean = True

    async def hold(self, mail: RenderedMail, on_data_sent: OnDataSent) -> SendAttempt | None:
        self._connection.is_fit = False  # whoever is torn away in the middle leaves it so
        try:
            outcome = await self._speak(mail, on_data_sent)
        except _Gone:
            return None
        except (aiosmtplib.SMTPException, OSError) as error:
            # cut, silent, or saying what no server says: the next try begins with a new connection
            return SendAttempt(DeliveryResult.LATER, _words(error))
        self._connection.is_fit = self._is_clean
        return outcome

    async def _speak(self, mail: RenderedMail, on_data_sent: OnDataSent) -> SendAttempt:
        if not self._understands(mail):
            return SendAttempt(DeliveryResult.LATER)
        refused = await self._name_sender(mail) or await self._name_recipient(mail)
        return refused or await self._hand_over(mail.content, on_data_sent)

    def _takes_utf8(self) -> bool:
        return self._client.supports_extension("smtputf8")

    def _is_international(self, mail: RenderedMail) -> bool:
        """Whether the envelope names the recipient as typed. A mail that can do without goes to servers that cannot."""
        return mail.utf8 or (not mail.typed.isascii() and self._takes_utf8())

    def _understands(self, mail: RenderedMail) -> bool:
        known = not mail.utf8 or self._takes_utf8()
        if not known:
            _log.warning("mail server does not take international addresses", mail_id=str(mail.id))
        return known

    async def _name_sender(self, mail: RenderedMail) -> SendAttempt | None:
        options = ["SMTPUTF8"] if self._is_international(mail) else []
        try:
            await self._client.mail(mail.sender, options=options, encoding="utf-8")
        except aiosmtplib.SMTPSenderRefused as refusal:
            if refusal.code == _CLOSING and not self._connection.is_fresh:
                raise _Gone from refusal
            self._circuit.report_mail_refused()
            await self._start_over()
            return SendAttempt(DeliveryResult.TROUBLE, _words(refusal), again_in=self._circuit.rest_left())
        except (aiosmtplib.SMTPServerDisconnected, ConnectionError) as error:
            if not self._connection.is_fresh:
                raise _Gone from error
            self._is_clean = False
            self._circuit.report_mail_refused()
            return SendAttempt(DeliveryResult.TROUBLE, again_in=self._circuit.rest_left())
        self._circuit.report_well()
        return None

    async def _name_recipient(self, mail: RenderedMail) -> SendAttempt | None:
        recipient = mail.typed if self._is_international(mail) else mail.recipient
        try:
            await self._client.rcpt(recipient, encoding="utf-8")
        except aiosmtplib.SMTPRecipientRefused as refusal:
            await self._start_over()
            return SendAttempt(
                DeliveryResult.NO_RECIPIENT if _is_final(refusal.code) else DeliveryResult.LATER, _words(refusal)
            )
        return None

    async def _hand_over(self, content: bytes, on_data_sent: OnDataSent) -> SendAttempt:
        begun = await self._client.execute_command(b"DATA")
        if begun.code != _GO_ON:
            await self._start_over()
            return _judge_message(begun)
        try:
            last = await send_content(self._client, content, on_sent=on_data_sent, timeout_seconds=self._dot_patience)
        except BaseException:
            self._client.close()  # a late answer must not be taken for the next mail's
            raise
        self._is_clean = last.code != _CLOSING
        return _judge_message(last)

    async def _start_over(self) -> None:
        """Forget the refused mail, so that the connection serves the next."""
        try:
            if self._client.is_connected:
                await self._client.rset()
        except (aiosmtplib.SMTPException, OSError):
            self._is_clean = False


class _Gone(Exception):
    """A kept connection turned out to be closed before anything was said on it."""


_CLOSING, _GO_ON = 421, 354


def _judge_message(reply: aiosmtplib.SMTPResponse) -> SendAttempt:
    if 200 <= reply.code < 300:  # noqa: PLR2004  # RFC 5321, section 4.2.1
        return SendAttempt(DeliveryResult.TAKEN, _said(reply.code, reply.message))
    return SendAttempt(
        DeliveryResult.REFUSED if _is_final(reply.code) else DeliveryResult.LATER, _said(reply.code, reply.message)
    )


def _is_final(code: int) -> bool:
    return 500 <= code < 600  # noqa: PLR2004  # RFC 5321, section 4.2.1


def _words(error: BaseException) -> str | None:
    if not isinstance(error, aiosmtplib.SMTPResponseException) or error.code <= 0:
        return None
    return _said(error.code, error.message)


def _said(code: int, message: str) -> str:
    """The server's words on one line. Some filters quote the link they dislike: no token is kept."""
    line = " ".join(_CONTROL.sub(" ", f"{code} {message}").split())
    return _TOKEN.sub("…", line)[:REPLY_LIMIT]
