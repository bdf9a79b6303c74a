"""Turns off what a virtual cable leaves to hardware that it does not have: `python -m tools.chaos.offloads INTERFACE`.

Frames then leave the kernel in their real size and with their checksums, as a switch of our own needs them.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
import sys

_SIOCETHTOOL = 0x8946
_OFFLOADS = (0x17, 0x1F, 0x24, 0x2C)  # ETHTOOL_STXCSUM, _STSO, _SGSO, _SGRO


def main() -> int:
    """Turn them off on the interface of the command line."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for command in _OFFLOADS:
            order = ctypes.create_string_buffer(struct.pack("II", command, 0))
            fcntl.ioctl(asking, _SIOCETHTOOL, struct.pack("16sP", sys.argv[1].encode(), ctypes.addressof(order)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
