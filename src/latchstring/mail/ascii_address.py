"""An address as SMTP takes it: plain ASCII wherever the domain alone is international."""

from dataclasses import dataclass

import idna


class AddressUnusable(ValueError):
    """The address cannot stand in an envelope. Addresses are checked on the way in; this is the last guard."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A local part and a domain. The domain is in A-labels unless the local part needs SMTPUTF8 anyway."""

    local: str
    domain: str
    utf8: bool

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def mailbox_of(address: str) -> Mailbox:
    """The address in the form that needs the least of the server (RFC 6531, section 3.2). Raises AddressUnusable."""
    local, at, domain = address.strip().rpartition("@")
    if (
        not at
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
