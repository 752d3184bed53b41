"""Validation and canonical form of e-mail addresses.

Checks the syntax only, without DNS. email-validator implements the grammar; this module adds the lengths in octets and
refuses single-label domains, invisible characters and compatibility characters that look like others.
"""

import re
import unicodedata
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

# The documented way to check the syntax only: `.test` and `.example` are ordinary domains here, and many intranets
# use `.local`.
SPECIAL_USE_DOMAIN_NAMES.clear()

MAX_LOCAL_PART_LENGTH = 64  # octets, RFC 5321 section 4.5.3.1.1
MAX_ADDRESS_LENGTH = 254  # octets, RFC 5321 section 4.5.3.1.3 less the angle brackets
MAX_LABEL_LENGTH = 63  # octets, RFC 1034 section 3.1

_LOWER_ASCII = str.maketrans(ascii_uppercase, ascii_lowercase)
_DOTS = re.compile("[.\u3002\uff0e\uff61]")  # the characters that IDNA treats as a dot, RFC 3490 section 3.1
_HAS_LETTER = re.compile(r"[a-z]", re.IGNORECASE)
# Default_Ignorable_Code_Point of Unicode 16 outside category Cf, and the blank Braille pattern: all are invisible.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"})

# Matches almost all addresses in a tenth of the time. The full grammar accepts every address that it matches, which a
# test checks. A domain with `--` may contain an A-label, which has to be decoded, so it takes the slow path.
_COMMON_FORM = re.compile(
    r"(?=.{3,254}\Z)([a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*)@((?!.*--)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63})",
    re.IGNORECASE | re.ASCII,
)

EXPECTED_FORM = "Enter a full address, like name@example.org."


class AddressRefused(ValueError):
    """An address that is not accepted. detail: the reason, for the person who typed it."""

    def __init__(self, detail: str = EXPECTED_FORM) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Address:
    """An address. email: as typed, the recipient of mails. email_key: the canonical form, used for comparison."""

    email: str
    email_key: str


def parse_address(text: str) -> Address:
    """Validate an address and compute its canonical form. Raises AddressRefused.

    The canonical form is the local part after NFC with ASCII letters in lower case, and the domain as lower-case
    A-labels. Other letters keep their case, because only the receiving host may interpret it (RFC 5321 section 2.4).
    """
    match = _COMMON_FORM.fullmatch(text)
    if match is not None and len(match[1]) <= MAX_LOCAL_PART_LENGTH:
        return Address(text, text.lower())
    if len(text) > MAX_ADDRESS_LENGTH:  # before parsing, because idna takes quadratic time
        raise AddressRefused(f"An address has at most {MAX_ADDRESS_LENGTH} characters.")
    _refuse_long_labels(text.rpartition("@")[2])
    if not text.isascii():
        _refuse_invisible(text)
        _refuse_lookalikes(text.rpartition("@")[0])
    local, domain = _parse(text)
    _refuse_lengths(text, local, domain)
    return Address(text, f"{local.translate(_LOWER_ASCII)}@{domain.lower()}")


def find_email_key(text: str) -> str | None:
    """The canonical form of an address; None for text that is not an address."""
    try:
        return parse_address(text).email_key
    except AddressRefused:
        return None


def _parse(text: str) -> tuple[str, str]:
    try:
        validated = validate_email(
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
        raise AddressRefused(f"{error} {EXPECTED_FORM}") from error
    domain = validated.ascii_domain or ""
    _, dot, top_level = domain.rpartition(".")
    # email-validator requires a dot and a letter only for deliverable domains; otherwise it accepts 127.0.0.1
    if not dot or not _HAS_LETTER.search(top_level):
        raise AddressRefused
    return unicodedata.normalize("NFC", text.rpartition("@")[0]), domain


def _refuse_invisible(text: str) -> None:
    if _INVISIBLE.search(text) or any(unicodedata.category(character) in _HIDDEN_CATEGORIES for character in text):
        raise AddressRefused(f"The address contains a character that cannot be seen. {EXPECTED_FORM}")


def _refuse_lookalikes(local: str) -> None:
    """Refuse compatibility characters, such as full-width letters, ligatures and the Kelvin sign.

    UTS #39 section 3.3 requires NFKC for local parts. NFC alone turns a Kelvin sign into a K, and the canonical form
    would be that of somebody else's ASCII mailbox. Letters of other scripts are allowed, as they stay distinct.
    """
    composed = unicodedata.normalize("NFC", local)
    if unicodedata.normalize("NFKC", local) != composed or (composed.isascii() and not local.isascii()):
        raise AddressRefused(f"The address contains letters that pass for others. {EXPECTED_FORM}")


def _refuse_long_labels(domain: str) -> None:
    """Refuse long labels before idna sees them: it needs 90 ms to refuse one of 200 letters."""
    if any(len(label) > MAX_LABEL_LENGTH for label in _DOTS.split(unicodedata.normalize("NFC", domain))):
        raise AddressRefused(f"Between the dots of a domain stand at most {MAX_LABEL_LENGTH} characters.")


def _refuse_lengths(text: str, local: str, domain: str) -> None:
    typed = text.rpartition("@")[0]
    if max(len(typed.encode()), len(local.encode())) > MAX_LOCAL_PART_LENGTH:
        raise AddressRefused(f"The part before the @ has at most {MAX_LOCAL_PART_LENGTH} octets.")
    if max(len(text.encode()), len(typed.encode()) + 1 + len(domain)) > MAX_ADDRESS_LENGTH:
        raise AddressRefused(f"An address has at most {MAX_ADDRESS_LENGTH} octets.")
