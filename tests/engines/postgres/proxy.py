"""What stands between a client and the server, and can cut their connection."""

from __future__ import annotations

import select
import socket
import threading


class Proxy:
    """Listens on a port of its own, and passes everything on."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
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
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if self.cut == ("after" if source is server else "before"):
                        return  # what was said is kept
                    (client if source is server else server).sendall(data)

    def close(self) -> None:
        self._listener.close()
