"""Addresses for SMTP: plain ASCII if only the domain is international."""

from dataclasses import dataclass

import idna


class AddressUnusable(ValueError):
    """The address cannot be used in an envelope. Input is validated earlier; this is the last check."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A local part and a domain in A-labels. utf8: the local part needs SMTPUTF8."""

    local: str
    domain: str
    utf8: bool

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def mailbox_of(address: str) -> Mailbox:
    """Return the address in the form that most servers support (RFC 6531, section 3.2). Raises AddressUnusable."""
    local, separator, domain = address.strip().rpartition("@")
    if (
        not separator
        or not local
        or not domain
        or not address.strip().isprintable()
        or any(c in address.strip() for c in ' <>"')
    ):
        raise AddressUnusable("not an address")
    try:
        ascii_domain = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except idna.IDNAError as error:
        raise AddressUnusable("not a domain") from error
    return Mailbox(local, ascii_domain, utf8=not local.isascii())
