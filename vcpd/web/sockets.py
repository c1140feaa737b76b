"""Listening sockets: this machine's loopback address has one, and so a backlog, of its own.

While others fill theirs, the kernel drops what they send and not what this machine's own clients send.
"""

import asyncio
import ctypes
import socket
import struct
import sys
from typing import Final

import structlog

BACKLOG: Final = 4096  # the kernel lowers it to net.core.somaxconn
SO_ATTACH_REUSEPORT_CBPF: Final = 51  # of Linux; Python does not name it
NETWORK_HEADER: Final = 0xFFF00000  # offsets from here count from the IP header
INSTRUCTION: Final = struct.Struct("HBBI")  # code, jumps if true and if false, operand
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # instructions of the classic packet filter
SOURCE_OFFSETS: Final = {socket.AF_INET: (12,), socket.AF_INET6: (8, 12, 16, 20)}
LOOPBACK_WORDS: Final = {socket.AF_INET: (0x7F000001,), socket.AF_INET6: (0, 0, 0, 1)}
log = structlog.get_logger("vcpd.web")


async def bind_sockets(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of `host`, all on one port. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            bound_port = sockets[0].getsockname()[1] if sockets else port
            sockets += _listen(family, (address[0], bound_port, *address[2:]))
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _listen(family: socket.AddressFamily, address: tuple[object, ...]) -> list[socket.socket]:
    """The sockets that listen on one address: on Linux one for loopback clients and one for all others.

    The address is bound alone first: a second daemon must not share it.
    """
    alone = _bound(family, address, shared=False)
    if not sys.platform.startswith("linux"):
        alone.listen(BACKLOG)
        return [alone]
    with alone:
        bound = alone.getsockname()
    sockets: list[socket.socket] = []
    try:
        for _ in range(2):
            sockets.append(_bound(family, bound, shared=True))
            sockets[-1].listen(BACKLOG)
        _direct_loopback_to_first(sockets[0], family)
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bound(family: socket.AddressFamily, address: tuple[object, ...], *, shared: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _direct_loopback_to_first(sock: socket.socket, family: socket.AddressFamily) -> None:
    """Attach a packet filter that gives connections from 127.0.0.1 or ::1 to the first socket of the group.

    A kernel that does not know the filter spreads connections over both, which is no worse than one.
    """
    filter_program = loopback_filter(family)
    buffer = ctypes.create_string_buffer(filter_program, len(filter_program))
    program = struct.pack("HP", len(filter_program) // INSTRUCTION.size, ctypes.addressof(buffer))
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program)
    except OSError as error:
        log.warning("web.no_backlog_for_loopback", reason=error.strerror)


def loopback_filter(family: socket.AddressFamily) -> bytes:
    """Returns a program that selects socket 0 for a source on loopback, else socket 1."""
    offsets, words = SOURCE_OFFSETS[family], LOOPBACK_WORDS[family]
    instructions = []
    for place, (offset, word) in enumerate(zip(offsets, words, strict=True)):
        to_others = 2 * (len(words) - place) - 1
        instructions += [(LOAD_WORD, 0, 0, NETWORK_HEADER + offset), (JUMP_IF_EQUAL, 0, to_others, word)]
    instructions += [(RETURN, 0, 0, 0), (RETURN, 0, 0, 1)]
    return b"".join(INSTRUCTION.pack(*instruction) for instruction in instructions)
