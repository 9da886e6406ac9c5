"""A proxy that cuts connections when their answer comes: the server has done its work, and the caller does not know."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_READ = 65_536


@dataclass
class AnswerCutter:
    """Where the proxy listens, and how many answers it still cuts."""

    port: int
    to_cut: int = 0
    cut: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def takes(self) -> bool:
        """Whether to cut the answer that comes now."""
        with self._lock:
            if self.to_cut == self.cut:
                return False
            self.cut += 1
            return True


@contextmanager
def cut_answers(server_port: int, count: int) -> Iterator[AnswerCutter]:
    """Cut the first `count` answers of the server on this port, before a byte of them has passed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cutter = AnswerCutter(port=listener.getsockname()[1], to_cut=count)
        threading.Thread(target=_accept, args=(listener, server_port, cutter), daemon=True).start()
        yield cutter
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, server_port: int, cutter: AnswerCutter) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", server_port))
            threading.Thread(target=_forward, args=(client, server, None), daemon=True).start()
            threading.Thread(target=_forward, args=(server, client, cutter), daemon=True).start()


def _forward(source: socket.socket, target: socket.socket, cutter: AnswerCutter | None) -> None:
    with suppress(OSError):
        while (data := source.recv(_READ)) and not (cutter is not None and cutter.takes()):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
