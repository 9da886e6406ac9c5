"""Network namespaces of Linux, each with one interface whose packets this process carries.

They have no names, so nothing of them is left: the kernel removes one when its last process and its last descriptor are
gone, also after a SIGKILL.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

T = TypeVar("T")

_CLONE_NEWNET: Final = 0x40000000
_TUN: Final = "/dev/net/tun"
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN: Final = 0x0001
_IFF_NO_PI: Final = 0x1000
"""A packet is read and written without a header of its own."""
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_SIOCSIFADDR: Final = 0x8916
_SIOCSIFNETMASK: Final = 0x891C
_IFF_UP: Final = 0x1
_INTERFACE: Final = "tun0"
_NETMASK: Final = "255.255.0.0"


class NamespacesUnavailable(RuntimeError):
    """This machine, or this account, cannot make network namespaces. The message says why."""


def why_unavailable() -> str | None:
    """Why there can be no namespaces here; None: there can."""
    try:
        Namespace("10.83.0.1").close()
    except NamespacesUnavailable as error:
        return str(error)
    return None


class Namespace:
    """A network of its own, for the processes that are started in it: loopback, and an interface with one address."""

    def __init__(self, address: str) -> None:
        """Make it.

        Raises:
            NamespacesUnavailable: the kernel does not allow it.
        """
        self.address = address
        try:
            self._descriptor, self.interface = _in_thread(lambda: _make(address))
        except OSError as error:
            raise NamespacesUnavailable(
                f"network namespaces need Linux, root and {_TUN}: {error.strerror or error}"
            ) from error

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Within the block, this thread opens sockets and starts processes there."""
        before = _own_namespace()
        _enter(self._descriptor)
        try:
            yield
        finally:
            _enter(before)
            os.close(before)

    def close(self) -> None:
        """Take the interface away. Processes that are still there reach only each other."""
        os.close(self.interface)
        os.close(self._descriptor)


def _make(address: str) -> tuple[int, int]:
    """Move this thread to a new namespace; return the descriptors of the namespace and of its interface."""
    _call("unshare", _CLONE_NEWNET)
    interface = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(interface, _TUNSETIFF, struct.pack("16sH22x", _INTERFACE.encode(), _IFF_TUN | _IFF_NO_PI))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            for request, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, _NETMASK)):
                fcntl.ioctl(control, request, _interface_address(value))
            for name in ("lo", _INTERFACE):
                _switch_on(control, name)
        return _own_namespace(), interface
    except BaseException:
        os.close(interface)
        raise


def _interface_address(address: str) -> bytes:
    return struct.pack("16sHH4s8x", _INTERFACE.encode(), socket.AF_INET, 0, socket.inet_aton(address))


def _switch_on(control: socket.socket, name: str) -> None:
    found = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH14x", name.encode(), 0))
    (flags,) = struct.unpack_from("H", found, 16)
    fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), flags | _IFF_UP))


def _own_namespace() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _enter(descriptor: int) -> None:
    _call("setns", descriptor, _CLONE_NEWNET)


def _call(function: str, *arguments: int) -> None:
    if sys.platform != "linux":
        raise NamespacesUnavailable("network namespaces need Linux")
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, function)(*arguments):
        raise OSError(ctypes.get_errno(), f"{function}: {os.strerror(ctypes.get_errno())}")


def _in_thread(work: Callable[[], T]) -> T:
    """What a thread of its own returns: it changes its namespace, and this one must not."""
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="namespace")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]
