"""E-mail addresses: what is one, and when two are the same.

Syntax only, no DNS. email-validator does the grammar; added here are the octet lengths, single-label domains,
characters nobody can see, and forms of letters that pass for others.
"""

import re
import unicodedata
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

# The documented way to judge by syntax alone: `.test` and `.example` are ordinary domains, and `.local` is many an
# intranet's.
SPECIAL_USE_DOMAIN_NAMES.clear()

LONGEST_LOCAL_PART = 64  # octets, RFC 5321 section 4.5.3.1.1
LONGEST = 254  # octets, RFC 5321 section 4.5.3.1.3 less the angle brackets
LONGEST_LABEL = 63  # octets, RFC 1034 section 3.1

_LOWER_ASCII = str.maketrans(ascii_uppercase, ascii_lowercase)
_DOTS = re.compile("[.\u3002\uff0e\uff61]")  # what IDNA takes for a dot, RFC 3490 section 3.1
_HAS_LETTER = re.compile(r"[a-z]", re.IGNORECASE)
# Default_Ignorable_Code_Point of Unicode 16 beyond category Cf, and a blank that is a symbol: all render as nothing.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"})

# Almost every address there is. What it matches is an address to the grammar below as well (a test holds them
# together), at a tenth of the time. No `--` in a domain: it may be an A-label, which has to be looked into.
_ORDINARY = re.compile(
    r"(?=.{3,254}\Z)([a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*)@((?!.*--)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63})",
    re.IGNORECASE | re.ASCII,
)

WORDS = "Enter a full address, like name@example.org."


class AddressRefused(ValueError):
    """Not an address we accept; `detail` says why, in words for the person who typed it."""

    def __init__(self, detail: str = WORDS) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Address:
    """An address as typed, which mail goes to, and in canonical form, which decides equality."""

    email: str
    email_key: str


def parse_address(text: str) -> Address:
    """Check an address and find its canonical form. Raises AddressRefused.

    The key is the local part after NFC with ASCII letters lower-cased, and the domain as lower-case A-labels.
    Other letters keep their case: only the receiving host knows whether it matters (RFC 5321 section 2.4).
    """
    ordinary = _ORDINARY.fullmatch(text)
    if ordinary is not None and len(ordinary[1]) <= LONGEST_LOCAL_PART:
        return Address(text, text.lower())
    if len(text) > LONGEST:  # before anything looks at it: idna takes quadratic time
        raise AddressRefused(f"An address has at most {LONGEST} characters.")
    _refuse_long_labels(text.rpartition("@")[2])
    if not text.isascii():
        _refuse_hidden(text)
        _refuse_lookalikes(text.rpartition("@")[0])
    local, domain = _parse(text)
    _refuse_lengths(text, local, domain)
    return Address(text, f"{local.translate(_LOWER_ASCII)}@{domain.lower()}")


def _parse(text: str) -> tuple[str, str]:
    try:
        found = validate_email(
            text,
            check_deliverability=False,
            globally_deliverable=False,
            allow_smtputf8=True,
            allow_quoted_local=False,
            allow_domain_literal=False,
            allow_display_name=False,
            allow_empty_local=False,
        )
    except EmailNotValidError as error:
        raise AddressRefused(f"{error} {WORDS}") from error
    domain = found.ascii_domain or ""
    _, dot, last = domain.rpartition(".")
    # email-validator asks for a dot and a letter only of deliverable domains; without them 127.0.0.1 would pass
    if not dot or not _HAS_LETTER.search(last):
        raise AddressRefused
    return unicodedata.normalize("NFC", text.rpartition("@")[0]), domain


def _refuse_hidden(text: str) -> None:
    if _INVISIBLE.search(text) or any(unicodedata.category(character) in _HIDDEN_CATEGORIES for character in text):
        raise AddressRefused(f"The address contains a character that cannot be seen. {WORDS}")


def _refuse_lookalikes(local: str) -> None:
    """Refuse characters that Unicode itself takes for others: full-width letters, ligatures, a Kelvin sign for a K.

    UTS #39 section 3.3 wants local parts in NFKC. Under NFC alone a Kelvin sign becomes a K, and the key would be that
    of somebody else's ASCII mailbox. Letters of another script stay: they make another address, of another person.
    """
    composed = unicodedata.normalize("NFC", local)
    if unicodedata.normalize("NFKC", local) != composed or (composed.isascii() and not local.isascii()):
        raise AddressRefused(f"The address contains letters that pass for others. {WORDS}")


def _refuse_long_labels(domain: str) -> None:
    """One label of 200 letters keeps idna busy for 90 ms before it finds it too long."""
    if any(len(label) > LONGEST_LABEL for label in _DOTS.split(unicodedata.normalize("NFC", domain))):
        raise AddressRefused(f"Between the dots of a domain stand at most {LONGEST_LABEL} characters.")


def _refuse_lengths(text: str, local: str, domain: str) -> None:
    typed = text.rpartition("@")[0]
    if max(len(typed.encode()), len(local.encode())) > LONGEST_LOCAL_PART:
        raise AddressRefused(f"The part before the @ has at most {LONGEST_LOCAL_PART} octets.")
    if max(len(text.encode()), len(typed.encode()) + 1 + len(domain)) > LONGEST:
        raise AddressRefused(f"An address has at most {LONGEST} octets.")
