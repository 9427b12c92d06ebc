"""A network namespace of the benchmark's own.

Firewall rules that a container engine left on a machine make the kernel track every connection, on
loopback too. That adds its cost to both sides of a ratio and draws it towards one; and the table
of tracked connections is full after some hundred thousand short ones, upon which the kernel drops
packets and a slice stands still for a second. In a fresh namespace there are no rules, and nobody
else's sockets. It takes root; without it the measurement goes on where it is, and the report says
so.
"""

import ctypes
import fcntl
import socket
import struct

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_INTERFACE_REQUEST = "16sh14x"  # struct ifreq: the name, then its flags


def _bring_loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack(_INTERFACE_REQUEST, b"lo", 0))
        flags = struct.unpack(_INTERFACE_REQUEST, request)[1]
        up = struct.pack(_INTERFACE_REQUEST, b"lo", flags | _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, up)


def enter_own_namespace():
    """Moves this process, and all that it starts from now on, into a fresh network namespace with
    its loopback up. Returns False where that is not permitted; nothing has changed then."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        return False
    _bring_loopback_up()
    return True


def tracks_connections():
    """True if the kernel tracks connections in this namespace."""
    try:
        with open("/proc/sys/net/netfilter/nf_conntrack_count", encoding="ascii") as file:
            return int(file.read()) > 0
    except (FileNotFoundError, PermissionError):
        return False


def timeouts():
    """How often TCP gave up waiting and sent again, here. On loopback that is a loss."""
    with open("/proc/net/netstat", encoding="ascii") as file:
        lines = [line.split() for line in file]
    for names, values in zip(lines[::2], lines[1::2]):
        if "TCPTimeouts" in names:
            return int(values[names.index("TCPTimeouts")])
    return 0
