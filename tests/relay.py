"""Something between the engine and a PostgreSQL server that passes everything on and counts the trips."""

import shutil
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

from psycopg.conninfo import conninfo_to_dict

_SOCKET = ".s.PGSQL.5432"
_ENDS = (b"S", b"Q")  # Sync and Query: what is sent up to there is answered together


class Relay:
    """Listens in a folder, as a server would, and talks to the one of a database's URL."""

    def __init__(self, url: str) -> None:
        self.trips = 0
        self._parts = conninfo_to_dict(url)
        self._folder = Path(tempfile.mkdtemp(prefix="relay"))
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self._folder / _SOCKET))
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Return the URL of the same database by way of here."""
        return "postgresql://?" + urlencode(self._parts | {"host": str(self._folder), "port": "5432"})

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        shutil.rmtree(self._folder)

    def _connect(self) -> socket.socket:
        host, port = str(self._parts.get("host", "localhost")), str(self._parts.get("port", "5432"))
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        there = socket.socket(socket.AF_UNIX)
        there.connect(f"{host}/.s.PGSQL.{port}")
        return there

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(here, self._connect()), daemon=True).start()

    def _serve(self, here: socket.socket, there: socket.socket) -> None:
        with here, there:
            back = threading.Thread(target=_pass_on, args=(there, here), daemon=True)
            back.start()
            self._ask(here, there)
            back.join()

    def _ask(self, here: socket.socket, there: socket.socket) -> None:
        """Pass on what a client says, message by message; the first one has no letter before its length."""
        with suppress(OSError), here.makefile("rb") as said:
            letter = b""
            while length := said.read(4):
                there.sendall(letter + length + said.read(int.from_bytes(length) - 4))
                letter = said.read(1)
                self.trips += letter in _ENDS
        with suppress(OSError):
            there.shutdown(socket.SHUT_WR)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while some := source.recv(1 << 16):
            target.sendall(some)
        target.shutdown(socket.SHUT_WR)
