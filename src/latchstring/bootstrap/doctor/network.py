"""What is asked of other machines: the mail server, and the public address as people reach it."""

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
from latchstring.domain.views.health import Finding, bad, doubtful, good

PATIENCE_SECONDS = 5.0
LARGEST_SKEW = timedelta(seconds=30)
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
MAIL = "mail"
PUBLIC_URL = "public-url"


async def check_mail(rules: MailRules) -> list[Finding]:
    """Whether mail would leave: the connection, its encryption, and the password. Sends nothing."""
    if rules.transport == "off":
        return [doubtful(MAIL, "Mail is off.", 'Set mail.transport = "smtp" when invitations are to be mailed.')]
    if rules.transport == "mailbox":
        return [_check_mailbox(Path(rules.mailbox_directory))]
    found = [await _talk(rules.smtp)]
    if rules.sender.endswith("@localhost>"):
        found.append(doubtful(MAIL, f"Mails come from {rules.sender}.", "Set mail.from to an address of your domain."))
    if rules.smtp.tls == "none" and rules.smtp.host not in LOCAL_HOSTS:
        found.append(doubtful(MAIL, "Mails and links travel unencrypted.", 'Set mail.smtp.tls = "starttls" or "tls".'))
    return found


def _check_mailbox(folder: Path) -> Finding:
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return bad(MAIL, f"The mailbox {folder} is not writable.", "Change its owner, or mail.mailbox-directory.")
    return doubtful(
        MAIL,
        "Mails are kept in the development mailbox; nobody receives them.",
        'Set mail.transport = "smtp" for real use.',
    )


async def _talk(smtp: SmtpSettings) -> Finding:
    where = f"{smtp.host}:{smtp.port}"
    client = aiosmtplib.SMTP(
        hostname=smtp.host,
        port=smtp.port,
        use_tls=smtp.tls == "tls",
        start_tls=smtp.tls == "starttls",
        timeout=min(smtp.timeout.total_seconds(), PATIENCE_SECONDS),
    )
    try:
        async with client:
            if smtp.username is not None:
                await client.login(smtp.username, smtp.password or "")
            else:
                await client.noop()
    except (aiosmtplib.SMTPException, OSError) as error:
        return _explain(error, smtp, where)
    return good(MAIL, f"{where} answers" + (", and takes the password." if smtp.username else "."))


def _explain(error: Exception, smtp: SmtpSettings, where: str) -> Finding:
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return bad(
            MAIL,
            f"{where} refuses the password of {smtp.username}: {error.code} {error.message}",
            "Correct mail.smtp.username and mail.smtp.password (or password-file).",
        )
    if isinstance(error, aiosmtplib.SMTPNotSupported) or "STARTTLS" in str(error):
        return bad(
            MAIL, f"{where} does not offer what is asked of it: {error}", "Check mail.smtp.tls and mail.smtp.port."
        )
    if isinstance(error.__cause__ or error, ssl.SSLError):
        return bad(
            MAIL,
            f"No encrypted connection to {where}: {error}",
            'Check mail.smtp.tls ("tls" is usual on port 465, "starttls" on 587) and the certificate of that host.',
        )
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return bad(MAIL, f"{where} refuses: {error.code} {error.message}", "Ask whoever runs the mail server.")
    return bad(
        MAIL, f"{where} does not answer: {error}", "Check mail.smtp.host and mail.smtp.port, and firewalls on the way."
    )


async def check_public_url(config: Config, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> list[Finding]:
    """Whether the links in mails lead here, and whether both clocks agree."""
    url = config.app.public_url
    parts = urlsplit(url)
    found = []
    if parts.hostname in LOCAL_HOSTS and config.mail.transport == "smtp":
        found.append(
            doubtful(
                PUBLIC_URL, f"{url} means the reader's own machine.", "Set app.public-url to the address people use."
            )
        )
    elif parts.scheme == "http" and parts.hostname not in LOCAL_HOSTS:
        found.append(doubtful(PUBLIC_URL, f"{url} is not encrypted.", "Put TLS before it and write https://."))
    return [*found, *await _ask(url, now)]


async def _ask(url: str, now: Callable[[], datetime]) -> list[Finding]:
    try:
        async with httpx2.AsyncClient(timeout=PATIENCE_SECONDS, follow_redirects=False) as client:
            answer = await client.get(f"{url}/healthz")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        says = f"{url} is not reachable from here: {str(error) or type(error).__name__}"
        return [bad(PUBLIC_URL, says, "Start the server, and check DNS, proxy and certificate of app.public-url.")]
    if answer.status_code != httpx2.codes.OK or not _is_ours(answer):
        says = f"{url}/healthz answers {answer.status_code}, and not as Latchstring does."
        return [bad(PUBLIC_URL, says, "Let the proxy pass every path to Latchstring, and check app.public-url.")]
    return [good(PUBLIC_URL, f"{url} leads to a running Latchstring."), *_compare_clocks(answer, now())]


def _is_ours(answer: httpx2.Response) -> bool:
    try:
        return bool(answer.json() == {"status": "ok"})
    except ValueError:
        return False


def _compare_clocks(answer: httpx2.Response, now: datetime) -> list[Finding]:
    date = answer.headers.get("date")
    skew = abs(parsedate_to_datetime(date) - now) if date else timedelta(0)
    if skew <= LARGEST_SKEW:
        return []
    says = f"The clock here and the clock at the public address differ by {int(skew.total_seconds())} seconds."
    return [doubtful("clock", says, "Let both machines follow a time server; expiry depends on it.")]
