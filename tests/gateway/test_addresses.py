"""Addresses: public ones, in one spelling, wherever they are wrapped."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tests.pack import load_pack_module

addresses = load_pack_module("gateway.addresses")

PUBLIC = (
    "1.1.1.1",
    "93.184.216.34",
    "2606:4700:4700::1111",
    "64:ff9b::8.8.8.8",  # what DNS64 makes of 8.8.8.8 where there is no IPv4
    "::ffff:8.8.8.8",
    "::8.8.8.8",
    "2002:808:808::1",
    "2001:0:808:808::f7f7:f7f7",  # Teredo, both 8.8.8.8
)
REFUSED = {
    "loopback": "127.0.0.1",
    "all of loopback": "127.255.0.9",
    "IPv6 loopback": "::1",
    "unspecified": "0.0.0.0",
    "IPv6 unspecified": "::",
    "this network": "0.1.2.3",
    "private 10": "10.0.0.1",
    "private 172": "172.16.0.1",
    "private 192": "192.168.1.1",
    "shared": "100.100.100.200",
    "link-local, metadata": "169.254.169.254",
    "protocol assignments, metadata": "192.0.0.192",
    "metadata on a public address": "168.63.129.16",
    "6to4 relay": "192.88.99.1",
    "documentation": "203.0.113.1",
    "benchmarks": "198.18.0.1",
    "multicast": "224.0.0.251",
    "public multicast": "233.252.1.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "unique local": "fd00::1",
    "IPv6 link-local": "fe80::1",
    "site-local": "fec0::1",
    "IPv6 multicast": "ff0e::1",
    "IPv6 documentation": "2001:db8::1",
    "newer IPv6 documentation": "3fff::1",
    "discard": "100::1",
    "segment routing": "5f00::1",
    "local NAT64": "64:ff9b:1::808:808",
    "mapped": "::ffff:127.0.0.1",
    "translated": "::ffff:0:127.0.0.1",
    "compatible": "::127.0.0.1",
    "6to4": "2002:7f00:1::1",
    "6to4 of multicast": "2002:e000:fb::1",
    "NAT64": "64:ff9b::10.0.0.1",
    "Teredo client": "2001:0:808:808::f5ff:fffe",  # 10.0.0.1, inverted
    "Teredo server": "2001:0:a00:1::f7f7:f7f7",  # 8.8.8.8, inverted
}
UNUSUAL = (
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0X7F.0.0.1",
    "0X7F000001",
    "0177.0.0.1",
    "017700000001",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "127.0.0.1..",
    "127.0.0.01",
    "1.1.1.1.",
    "1.2.3.4.5",
    "256.1.1.1",
    "a.0x7f",
    "٠١",  # digits of another script
    "١٢٧.0.0.١",
    "fe80::1%eth0",
    "::1%25lo",
    "1::2::3",
)


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_allowed(text: str) -> None:
    assert addresses.is_allowed(ip_address(text))


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_others_are_refused(text: str) -> None:
    assert not addresses.is_allowed(ip_address(text))


@pytest.mark.parametrize("host", UNUSUAL)
def test_unusual_spellings_of_addresses_are_refused(host: str) -> None:
    with pytest.raises(ValueError):
        addresses.read_literal(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "8.8.8.8", "::1", "::ffff:7f00:1"])
def test_the_usual_spelling_is_read(host: str) -> None:
    assert addresses.read_literal(host) == ip_address(host)


@pytest.mark.parametrize("host", ["a.example", "localhost", "1.example", "a.b2", "xn--8hbc", "a."])
def test_names_are_no_addresses(host: str) -> None:
    assert addresses.read_literal(host) is None
