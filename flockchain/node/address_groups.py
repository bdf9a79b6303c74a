"""Whose an address is: the part of it that costs an attacker something.

A host has one IPv4 address or a whole /64 of IPv6 ones; a provider hands out a /16 or a /32. Knows texts; resolves
nothing.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import unquote

__all__ = ["compute_group", "compute_host", "is_private_host", "parse_stream_peer"]

_GROUP_BITS: Final = {4: 16, 6: 32}
_HOST_BITS: Final = {4: 32, 6: 64}


def compute_host(host: str) -> str:
    """The text that stands for one host: the address itself, or its /64, or a name."""
    return _cut(host, _HOST_BITS)


def compute_group(host: str) -> str:
    """The text that stands for one network: a /16, a /32, or a name."""
    return _cut(host, _GROUP_BITS)


def is_private_host(host: str) -> bool:
    """Whether the address is this machine's or a private network's: nobody can have many of those from outside."""
    address = _parse(host)
    return address is not None and (address.is_private or address.is_link_local)


def parse_stream_peer(text: str) -> str:
    """The host in gRPC's name of a stream's end (`ipv4:1.2.3.4:5`, `ipv6:%5B::1%5D:5`); the text itself if none."""
    family, colon, rest = text.partition(":")
    if not colon or family not in ("ipv4", "ipv6"):
        return text
    return unquote(rest).rpartition(":")[0].strip("[]") or text


def _cut(host: str, bits: dict[int, int]) -> str:
    address = _parse(host)
    if address is None:
        return host.lower()
    kept = bits[address.version]
    shift = address.max_prefixlen - kept
    return f"{type(address)(int(address) >> shift << shift)}/{kept}"


def _parse(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
