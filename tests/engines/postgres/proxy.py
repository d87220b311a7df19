"""What stands between a client and the server, and can cut their connection."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import suppress

TLS_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
"""What a client says first that wants TLS: its length, and a number that PostgreSQL's protocol gives it."""


class Proxy:
    """Listens on a port of its own, and passes everything on. ``tls``: it speaks TLS with the client, and no other."""

    def __init__(self, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self._server = ("127.0.0.1", port)
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.cut: str | None = None
        """``"before"`` what the client says next, or ``"after"`` it: before what the server answers."""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self._tls is None:
            self._pass_on(client)
        elif client.recv(len(TLS_REQUEST)) == TLS_REQUEST:
            client.sendall(b"S")
            with suppress(ssl.SSLError, ConnectionError):  # by a client that does not trust the certificate
                self._pass_on(self._tls.wrap_socket(client, server_side=True))
        client.close()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(1 << 16)
                    while isinstance(source, ssl.SSLSocket) and source.pending():
                        data += source.recv(1 << 16)  # select does not know of it
                    if not data:
                        return
                    if self.cut == ("after" if source is server else "before"):
                        return  # what was said is kept
                    (client if source is server else server).sendall(data)

    def close(self) -> None:
        self._listener.close()
