"""The address of the client behind trusted proxies, and the network that rate limits count."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

from latchstring.domain.settings import Limits
from latchstring.http.scope import list_header

IPV4_PREFIX = 24
IPV6_PREFIX = 64  # a subscriber has at least this network, RFC 6177
Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]


def client_network(scope: Scope, limits: Limits) -> str:
    """Return the network of the client that rate limits count: a /24 or a /64."""
    return client_prefix(client_address(scope, limits.trusted_proxies))


def client_address(scope: Scope, trusted_proxies: tuple[str, ...]) -> Address | None:
    """Return the address of the last hop that is not a trusted proxy. Other entries of the header can be forged."""
    client = scope.get("client")
    address = _parse_address(client[0]) if client else None
    proxies = _networks(trusted_proxies)
    if address is None or not _is_within(address, proxies):
        return address
    for hop in reversed(_forwarded_for(scope)):
        forwarded = _parse_address(hop)
        if forwarded is None:
            return address
        address = forwarded
        if not _is_within(address, proxies):
            break
    return address


@lru_cache(maxsize=8)  # a process has one configuration; tests have a few
def _networks(proxies: tuple[str, ...]) -> Networks:
    return tuple(ip_network(proxy, strict=False) for proxy in proxies)


def _is_within(address: Address, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in networks)


def client_prefix(address: Address | None) -> str:
    """Return the network of an address that rate limits count."""
    if address is None:
        return "unknown"
    length = IPV6_PREFIX if isinstance(address, IPv6Address) else IPV4_PREFIX
    return str(ip_network((address, length), strict=False))


def _parse_address(text: str) -> Address | None:
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _forwarded_for(scope: Scope) -> list[str]:
    lines = b",".join(list_header(scope, b"x-forwarded-for"))
    return [hop for hop in lines.decode("latin-1").split(",") if hop.strip()]
