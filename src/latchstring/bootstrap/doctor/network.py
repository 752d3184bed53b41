"""Checks of other machines: the mail server, and the public URL as browsers reach it."""

import os
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiosmtplib
import httpx2

from latchstring.config import Config
from latchstring.domain.settings import MailRules, SmtpSettings
from latchstring.domain.views.health import Finding, failed, passed, warning

CONNECT_TIMEOUT_SECONDS = 5.0
MAX_CLOCK_SKEW = timedelta(seconds=30)
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
MAIL = "mail"
PUBLIC_URL = "public-url"


async def check_mail(rules: MailRules) -> list[Finding]:
    """Whether mail can be sent: the connection, its encryption, and the password. Sends nothing."""
    if rules.is_off:
        return [warning(MAIL, "Mail is off.", 'Set mail.transport = "smtp" when invitations are to be mailed.')]
    if rules.transport == "mailbox":
        return [_check_mailbox(Path(rules.mailbox_directory))]
    findings = [await _check_smtp(rules.smtp)]
    if rules.sender.endswith("@localhost>"):
        findings.append(
            warning(MAIL, f"Mails come from {rules.sender}.", "Set mail.from to an address of your domain.")
        )
    if rules.smtp.tls == "none" and rules.smtp.host not in LOCAL_HOSTS:
        findings.append(
            warning(MAIL, "Mails and links travel unencrypted.", 'Set mail.smtp.tls = "starttls" or "tls".')
        )
    return findings


def _check_mailbox(folder: Path) -> Finding:
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return failed(MAIL, f"The mailbox {folder} is not writable.", "Change its owner, or mail.mailbox-directory.")
    return warning(
        MAIL,
        "Mails are stored in the development mailbox and not sent.",
        'Set mail.transport = "smtp" for real use.',
    )


async def _check_smtp(smtp: SmtpSettings) -> Finding:
    server = f"{smtp.host}:{smtp.port}"
    client = aiosmtplib.SMTP(
        hostname=smtp.host,
        port=smtp.port,
        use_tls=smtp.tls == "tls",
        start_tls=smtp.tls == "starttls",
        timeout=min(smtp.timeout.total_seconds(), CONNECT_TIMEOUT_SECONDS),
    )
    try:
        async with client:
            if smtp.username is not None:
                await client.login(smtp.username, smtp.password or "")
            else:
                await client.noop()
    except (aiosmtplib.SMTPException, OSError) as error:
        return _explain(error, smtp, server)
    return passed(MAIL, f"{server} answers" + (", and accepts the password." if smtp.username else "."))


def _explain(error: Exception, smtp: SmtpSettings, server: str) -> Finding:
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return failed(
            MAIL,
            f"{server} refuses the password of {smtp.username}: {error.code} {error.message}",
            "Correct mail.smtp.username and mail.smtp.password (or password-file).",
        )
    if isinstance(error, aiosmtplib.SMTPNotSupported) or "STARTTLS" in str(error):
        return failed(
            MAIL, f"{server} does not support what is configured: {error}", "Check mail.smtp.tls and mail.smtp.port."
        )
    if isinstance(error.__cause__ or error, ssl.SSLError):
        return failed(
            MAIL,
            f"No encrypted connection to {server}: {error}",
            'Check mail.smtp.tls ("tls" is usual on port 465, "starttls" on 587) and the certificate of that host.',
        )
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return failed(
            MAIL, f"{server} refuses: {error.code} {error.message}", "Ask the administrator of the mail server."
        )
    return failed(
        MAIL, f"{server} does not answer: {error}", "Check mail.smtp.host and mail.smtp.port, and firewalls in between."
    )


async def check_public_url(config: Config, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> list[Finding]:
    """Whether the public URL reaches this server, and whether the clocks of both machines agree."""
    url = config.app.public_url
    split_url = urlsplit(url)
    findings = []
    if split_url.hostname in LOCAL_HOSTS and config.mail.transport == "smtp":
        findings.append(
            warning(
                PUBLIC_URL,
                f"{url} points to the recipient's own computer.",
                "Set app.public-url to the address people use.",
            )
        )
    elif split_url.scheme == "http" and split_url.hostname not in LOCAL_HOSTS:
        findings.append(
            warning(PUBLIC_URL, f"{url} is not encrypted.", "Put a TLS proxy in front of the server and use https://.")
        )
    return [*findings, *await _check_health(url, now)]


async def _check_health(url: str, now: Callable[[], datetime]) -> list[Finding]:
    try:
        async with httpx2.AsyncClient(timeout=CONNECT_TIMEOUT_SECONDS, follow_redirects=False) as client:
            response = await client.get(f"{url}/healthz")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        message = f"{url} is not reachable from here: {str(error) or type(error).__name__}"
        return [
            failed(PUBLIC_URL, message, "Start the server, and check DNS, proxy and certificate of app.public-url.")
        ]
    if response.status_code != httpx2.codes.OK or not _is_latchstring(response):
        message = f"{url}/healthz answers {response.status_code}, and not as Latchstring does."
        return [failed(PUBLIC_URL, message, "Let the proxy pass every path to Latchstring, and check app.public-url.")]
    return [passed(PUBLIC_URL, f"{url} reaches a running Latchstring."), *_compare_clocks(response, now())]


def _is_latchstring(response: httpx2.Response) -> bool:
    try:
        return bool(response.json() == {"status": "ok"})
    except ValueError:
        return False


def _compare_clocks(response: httpx2.Response, now: datetime) -> list[Finding]:
    date = response.headers.get("date")
    skew = abs(parsedate_to_datetime(date) - now) if date else timedelta(0)
    if skew <= MAX_CLOCK_SKEW:
        return []
    message = f"The clock here and the clock at the public address differ by {int(skew.total_seconds())} seconds."
    return [warning("clock", message, "Let both machines follow a time server; expiry depends on it.")]
