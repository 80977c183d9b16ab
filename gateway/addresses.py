"""Which IP addresses outgoing requests may connect to: public ones only."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_IPV4_COMPATIBLE = IPv6Network("::/96")  # RFC 4291, 2.5.5.1
_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that IANA assigns from: what lies outside is local, as fec0::/10, or not in use."""
_ALSO_REFUSED = (
    # ``is_global`` of Python 3.10 and of early 3.11 and 3.12 does not know all of these.
    IPv4Network("192.0.0.0/24"),  # protocol assignments; Oracle's metadata service
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv4Network("168.63.129.16/32"),  # looks public: Azure's service for its own machines
    IPv6Network("3fff::/20"),  # documentation
)


def is_allowed(address: Address) -> bool:
    """Whether a request may connect there: to a public unicast address, wherever it is wrapped."""
    return all(_is_public(inner) for inner in unwrap(address))


def unwrap(address: Address) -> tuple[Address, ...]:
    """The IPv4 addresses that an IPv6 address stands for; of any other, itself.

    Two for Teredo, whose packets go by a server to a client; else one.
    """
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in _NAT64 or address in _IPV4_COMPATIBLE:
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    return (address,)


def read_literal(host: str) -> Address | None:
    """The address that a URL's host spells out, without brackets; None if it is a name.

    A host whose last label is a number is an address to systems that read more spellings than
    one: 127.1, 2130706433, 0177.0.0.1 and 0x7f000001 are all 127.0.0.1.

    Raises:
        ValueError: if it is an address, but not in its usual spelling, or has a zone
            (``fe80::1%eth0``).
    """
    if ":" in host:
        if "%" in host:
            raise ValueError("got an IPv6 address with a zone, expected one without")
        return IPv6Address(host)
    last = host.rstrip(".").rpartition(".")[2]
    if last.isdigit() or last.lower().startswith("0x"):
        return IPv4Address(host)
    return None


def _is_public(address: Address) -> bool:
    """``is_global`` counts multicast in, and IPv6 addresses that IANA has not assigned."""
    if address.is_multicast or (address.version == 6 and address not in _GLOBAL_UNICAST):
        return False
    return address.is_global and not any(address in network for network in _ALSO_REFUSED)
