"""A local S3-compatible server in a process of its own, behind a gate that a test can close.

Here: moto's server, a bucket, the settings that reach it. Not here: what is expected of landing.
A closed gate refuses connections and cuts those that are open, as a network does; what was stored
is there again when it opens.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import fsspec
import moto.server
from fsspec.implementations.memory import MemoryFileSystem

from analytics_replica_tests.support.patience import eventually

KEY_ID = "AKIATESTTESTTEST"
SECRET = "not/a/real/secret/0123456789abcdef"


@dataclass
class Gate:
    """Forwards connections to the port while it is open."""

    to: int
    port: int = 0
    _open: set[socket.socket] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Takes connections, always on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        """Refuses connections and cuts those that are there."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in list(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self.to))
                self._open |= {client, server}
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)
        # The other direction's pump closes the other end.
        self._open.discard(one)
        one.close()


@dataclass
class Buckets:
    """A server with buckets."""

    gate: Gate

    def bucket(self) -> str:
        """A new, empty bucket."""
        name = f"landing-{uuid.uuid4().hex[:12]}"
        self.files.mkdir(name)
        return name

    @property
    def files(self) -> Any:
        """The server's objects, past every cache: an outside view of landing."""
        secrets = {"key": KEY_ID, "secret": SECRET}
        return fsspec.filesystem("s3", use_listings_cache=False, **secrets, **self.options)

    @property
    def options(self) -> dict[str, Any]:
        """`landing.options` for this server."""
        return {"endpoint_url": f"http://127.0.0.1:{self.gate.port}"}

    def changes(self, bucket: str) -> dict[str, Any]:
        """What replica.yaml says to land in this bucket."""
        return {"landing.url": f"s3://{bucket}/masked", "landing.options": self.options}


@contextlib.contextmanager
def running_buckets() -> Iterator[Buckets]:
    """A server that is gone when the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = [sys.executable, "-m", moto.server.__name__, "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(
        program, env=dict(os.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: _answers(port), seconds=90)
        gate = Gate(port)
        yield Buckets(gate)
        gate.close()
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


class Careless(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A store that replaces whatever is there."""

    protocol = "careless"

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        super().pipe_file(path, value, **{**options, "mode": "overwrite"})
