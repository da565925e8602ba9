"""A TCP proxy in front of a real server, which cuts or stalls a connection after some bytes.

Here: forwarding bytes, cutting in the middle of a message, holding bytes back until told to go on.
Not here: what is expected then (scenarios/test_faults.py).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from analytics_replica.postgres.local_server import LocalServer

CHUNK = 4096
RESET = struct.pack("ii", 1, 0)
"""Linger for no time: the peer sees a reset, as when a network device forgets a connection."""


@dataclass
class Proxy:
    """Forwards to the server's socket; acts after so many bytes from the server to the client."""

    server: LocalServer
    cut_after: int | None = None
    stall_after: int | None = None
    stalled: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    forwarded: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def dsn(self, database: str, user: str) -> str:
        """The database through the proxy."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def close(self) -> None:
        """Takes no more connections and lets go what is held back."""
        self.go_on.set()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                upstream = socket.socket(socket.AF_UNIX)
                upstream.connect(f"{self.server.socket_dir}/.s.PGSQL.{self.server.port}")
                for pump in (self._up, self._down):
                    threading.Thread(target=pump, args=(client, upstream), daemon=True).start()

    def _up(self, client: socket.socket, upstream: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(CHUNK):
                upstream.sendall(data)
            upstream.shutdown(socket.SHUT_WR)

    def _down(self, client: socket.socket, upstream: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := upstream.recv(CHUNK):
                allowed = data if self.cut_after is None else data[: self._left()]
                client.sendall(allowed)
                self.forwarded += len(allowed)
                if len(allowed) < len(data):
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    break
                if self.stall_after is not None and self.forwarded >= self.stall_after:
                    self.stalled.set()
                    self.go_on.wait()
        for end in (client, upstream):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _left(self) -> int:
        return max(0, (self.cut_after or 0) - self.forwarded)


@contextlib.contextmanager
def proxied(
    server: LocalServer, *, cut_after: int | None = None, stall_after: int | None = None
) -> Iterator[Proxy]:
    """A proxy in front of this server, gone when the block ends."""
    proxy = Proxy(server, cut_after, stall_after)
    try:
        yield proxy
    finally:
        proxy.close()
