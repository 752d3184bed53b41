"""The SMTP sender: connections, encryption, authentication and replies."""

import asyncio
import datetime as dt
import ipaddress
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.support.mail_samples import SENT_AT, invitation
from tests.support.smtp_server import ScriptedServer, scripted_server

from latchstring.domain.settings import RetryRules, SmtpSettings
from latchstring.mail.render import RenderedMail, render_mail
from latchstring.mail.senders import Compose, DeliveryResult, SendAttempt
from latchstring.mail.smtp.sender import SmtpSender

RETRY = RetryRules(first=timedelta(milliseconds=50))


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as running:
        yield running


def settings(server: ScriptedServer, **changes: object) -> SmtpSettings:
    plain = SmtpSettings(host="127.0.0.1", port=server.port, tls="none", timeout=timedelta(seconds=2))
    return replace(plain, **changes)  # type: ignore[arg-type]


def compose(to: str = "ada@people.test", **changes: object) -> Compose:
    async def render() -> RenderedMail:
        return render_mail(invitation(to=to, **changes), uuid4(), sender="Acme <no-reply@acme.test>", now=SENT_AT)

    return render


async def send(
    sender: SmtpSender, to: str = "ada@people.test", on_data_sent: Callable[[], None] = lambda: None
) -> SendAttempt:
    return await sender.send(compose(to), on_data_sent=on_data_sent)


async def test_one_connection_sends_several_mails(server: ScriptedServer) -> None:
    sender = SmtpSender(settings(server), RETRY)
    outcomes = [await send(sender, f"p{n}@people.test") for n in range(5)]
    await sender.close()
    assert {outcome.result for outcome in outcomes} == {DeliveryResult.ACCEPTED}
    assert server.sessions == 1
    assert server.commands[-1] == "QUIT"


async def test_a_refused_recipient_leaves_the_connection_usable(server: ScriptedServer) -> None:
    server.replies["rcpt"] = ["550 5.1.1 no such user"]
    sender = SmtpSender(settings(server), RETRY)
    assert (await send(sender)).result is DeliveryResult.NO_RECIPIENT
    assert (await send(sender, "bob@people.test")).result is DeliveryResult.ACCEPTED
    await sender.close()
    assert server.sessions == 1
    assert server.recipients() == ["bob@people.test"]


async def test_a_reused_connection_closed_by_the_server_is_no_failure(server: ScriptedServer) -> None:
    sender = SmtpSender(settings(server), RETRY)
    await send(sender)
    server.replies["mail"] = ["421 4.4.2 too long idle"]
    assert (await send(sender)).result is DeliveryResult.ACCEPTED
    server.replies["mail"] = ["cut"]
    assert (await send(sender)).result is DeliveryResult.ACCEPTED
    await sender.close()
    assert len(server.received) == 3


async def test_idle_connections_are_closed(server: ScriptedServer) -> None:
    now = 0.0
    sender = SmtpSender(settings(server), RETRY, clock=lambda: now)
    await send(sender)
    await sender.close_idle()
    assert server.commands[-1] != "QUIT"
    now = 60.0
    await sender.close_idle()
    assert server.commands[-1] == "QUIT"
    await send(sender)
    await sender.close()
    assert server.sessions == 2


async def test_a_connection_is_closed_after_many_mails(server: ScriptedServer) -> None:
    sender = SmtpSender(settings(server), RETRY)
    for _ in range(101):
        await send(sender)
    await sender.close()
    assert server.sessions == 2


async def test_a_cancelled_mail_leaves_no_connection_behind(server: ScriptedServer) -> None:
    server.held_recipients.add("ada@people.test")
    sender = SmtpSender(settings(server), RETRY)
    task = asyncio.create_task(send(sender))
    await asyncio.wait_for(server.on_data_sent.wait(), 60)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    server.held_recipients.clear()
    server.released.set()
    assert (await send(sender, "bob@people.test")).result is DeliveryResult.ACCEPTED
    await sender.close()
    assert server.sessions == 2


async def test_the_final_reply_has_a_longer_timeout(server: ScriptedServer) -> None:
    server.held_recipients.add("ada@people.test")
    sender = SmtpSender(settings(server, timeout=timedelta(milliseconds=200)), RETRY)
    data_sent = asyncio.Event()
    task = asyncio.create_task(send(sender, on_data_sent=data_sent.set))
    await asyncio.wait_for(data_sent.wait(), 60)
    await asyncio.sleep(0.5)
    server.held_recipients.clear()
    server.released.set()
    assert (await task).result is DeliveryResult.ACCEPTED
    await sender.close()


async def test_a_server_silent_after_the_dot_times_out(server: ScriptedServer) -> None:
    server.held_recipients.add("ada@people.test")
    sender = SmtpSender(settings(server), RETRY, reply_timeout=timedelta(milliseconds=200))
    assert (await send(sender)).result is DeliveryResult.TEMPORARY_FAILURE
    await sender.close()


@pytest.mark.parametrize("command", ["mail", "rcpt", "data"])
async def test_a_server_silent_before_the_data_times_out_sooner(server: ScriptedServer, command: str) -> None:
    server.replies[command] = ["hang"]
    sender = SmtpSender(settings(server, timeout=timedelta(milliseconds=200)), RETRY)
    outcome = await send(sender)
    assert outcome.result in {DeliveryResult.TEMPORARY_FAILURE, DeliveryResult.SERVER_ERROR}
    assert outcome.reply is None
    await sender.close()


async def test_a_refused_connection_is_trouble_without_a_reply(server: ScriptedServer) -> None:
    sender = SmtpSender(settings(server, port=1), RETRY)
    outcome = await send(sender)
    assert (outcome.result, outcome.reply) == (DeliveryResult.SERVER_ERROR, None)
    assert sender.capacity() == 0


async def test_while_one_mail_connects_the_others_wait_without_an_attempt(server: ScriptedServer) -> None:
    server.decide = lambda command, _argument: "554 go away" if command == "connect" else None
    sender = SmtpSender(settings(server), RETRY)
    outcomes = await asyncio.gather(*(send(sender) for _ in range(8)))
    assert sorted(outcome.result.name for outcome in outcomes) == ["NOT_ATTEMPTED"] * 7 + ["SERVER_ERROR"]
    assert server.sessions == 1


async def test_the_connection_limit_of_the_server_is_respected(server: ScriptedServer) -> None:
    server.decide = lambda command, _a: "421 too many" if command == "connect" and server.open > 2 else None
    sender = SmtpSender(settings(server), RETRY)
    outcomes = await asyncio.gather(*(send(sender, f"p{n}@people.test") for n in range(10)))
    assert {outcome.result for outcome in outcomes} <= {DeliveryResult.ACCEPTED, DeliveryResult.NOT_ATTEMPTED}
    assert sender.capacity() <= 2
    await sender.close()


async def test_an_error_while_composing_leaves_the_connection_usable(server: ScriptedServer) -> None:
    class Ended(Exception):
        pass

    async def ended() -> RenderedMail:
        raise Ended

    sender = SmtpSender(settings(server), RETRY)
    await send(sender)
    with pytest.raises(Ended):
        await sender.send(ended, on_data_sent=lambda: None)
    await send(sender)
    await sender.close()
    assert server.sessions == 1


async def test_signing_in(server: ScriptedServer) -> None:
    server.extensions = ("AUTH PLAIN LOGIN",)
    sender = SmtpSender(settings(server, username="mailer", password="s3cret"), RETRY)
    assert (await send(sender)).result is DeliveryResult.ACCEPTED
    await sender.close()
    assert any(command.startswith("AUTH PLAIN") for command in server.commands)


async def test_a_wrong_password_is_trouble_with_the_servers_reply(server: ScriptedServer) -> None:
    server.extensions = ("AUTH PLAIN",)
    server.replies["auth"] = ["535 5.7.8 authentication failed"]
    sender = SmtpSender(settings(server, username="mailer", password="wrong"), RETRY)
    outcome = await send(sender)
    assert (outcome.result, outcome.reply) == (DeliveryResult.SERVER_ERROR, "535 5.7.8 authentication failed")


async def test_starttls_is_required(server: ScriptedServer) -> None:
    sender = SmtpSender(settings(server, tls="starttls"), RETRY)
    assert (await send(sender)).result is DeliveryResult.SERVER_ERROR
    assert not any(command.startswith("MAIL") for command in server.commands)


async def test_the_address_as_typed_is_used_if_the_server_supports_it(server: ScriptedServer) -> None:
    sender = SmtpSender(settings(server), RETRY)
    for address in ("ada@bücher.test", "jörg@people.test", "Bo@People.test"):
        await send(sender, address)
    await sender.close()
    mails = [command for command in server.commands if command.startswith("MAIL")]
    assert ["SMTPUTF8" in command for command in mails] == [True, True, False]
    assert server.recipients() == ["ada@bücher.test", "jörg@people.test", "Bo@People.test"]


async def test_an_international_domain_needs_no_smtputf8(server: ScriptedServer) -> None:
    server.extensions = ("8BITMIME",)
    sender = SmtpSender(settings(server), RETRY)
    assert (await send(sender, "ada@bücher.test")).result is DeliveryResult.ACCEPTED
    await sender.close()
    assert server.recipients() == ["ada@xn--bcher-kva.test"]


async def test_a_mail_to_a_server_without_smtputf8_is_retried_later(server: ScriptedServer) -> None:
    server.extensions = ("8BITMIME",)
    sender = SmtpSender(settings(server), RETRY)
    assert (await send(sender, "jörg@people.test")).result is DeliveryResult.TEMPORARY_FAILURE
    assert (await send(sender)).result is DeliveryResult.ACCEPTED
    await sender.close()


async def test_the_reply_is_one_line_without_a_token(server: ScriptedServer) -> None:
    server.replies["dot"] = [
        "554-5.7.1 blocked: https://app.test/invitation?token=eyJhbGciOi.eyJzdWIi.sig\n554 see \x07us"
    ]
    sender = SmtpSender(settings(server), RETRY)
    outcome = await send(sender)
    await sender.close()
    assert outcome.result is DeliveryResult.REFUSED
    assert outcome.reply == "554 5.7.1 blocked: https://app.test/invitation?token=… see us"


async def test_long_replies_are_truncated_quickly(server: ScriptedServer) -> None:
    """The search for tokens in this reply once blocked the event loop for more than a second."""
    server.replies["dot"] = ["\n".join([*["554-" + "ey-" * 2600] * 3, "554 so much for that"])]
    sender, started_at = SmtpSender(settings(server), RETRY), time.perf_counter()
    outcome = await send(sender)
    await sender.close()
    assert outcome.result is DeliveryResult.REFUSED
    assert len(outcome.reply or "") == 500
    assert time.perf_counter() - started_at < 0.5


async def test_leading_dots_arrive(server: ScriptedServer) -> None:
    content = b"Subject: dots\r\n\r\n.\r\n..\r\n.hidden\r\nend"

    async def dotted() -> RenderedMail:
        return replace(await compose()(), content=content)

    sender = SmtpSender(settings(server), RETRY)
    await sender.send(dotted, on_data_sent=lambda: None)
    await sender.close()
    assert server.received[0].content == content + b"\r\n"


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A TLS server context for 127.0.0.1 with a certificate that this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    return context


@pytest.mark.parametrize("mode", ["tls", "starttls"])
async def test_encryption(certificate: ssl.SSLContext, mode: str) -> None:
    async with scripted_server(tls=certificate, implicit_tls=mode == "tls") as server:
        server.extensions = ("STARTTLS",)
        sender = SmtpSender(settings(server, tls=mode), RETRY)
        outcome = await send(sender)
        await sender.close()
    assert outcome.result is DeliveryResult.ACCEPTED


async def test_an_untrusted_certificate_is_trouble(
    certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with scripted_server(tls=certificate, implicit_tls=True) as server:
        sender = SmtpSender(settings(server, tls="tls"), RETRY)
        assert (await send(sender)).result is DeliveryResult.SERVER_ERROR
