"""Scratch namespaces, and WireGuard servers in them, for tests that need root.

Cipher text goes over the loopback: a server's wireguard-go listens on 127.0.0.1, its interface is
moved into a namespace of its own, and what is said inside the tunnel can only be heard there.
"""

import base64
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from miauflixd.keeper.inside import socket_inside
from miauflixd.keeper.messages import Endpoint, Server

ECHO = 7
"""The TCP port of the echo service behind each server."""

_numbers = count()


def unique_name() -> str:
    """Return a name for a namespace that nobody else on this machine uses."""
    return f"m{os.getpid() % 10**6}n{next(_numbers)}"


def run(*command: str, namespace: str | None = None, text: str = "") -> str:
    """Run a program, in a namespace if one is given, and return what it wrote."""
    where = ["nsenter", f"--net=/run/netns/{namespace}"] if namespace else []
    done = subprocess.run(
        [*where, *command], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def ip(*arguments: str, namespace: str | None = None) -> str:
    """Run `ip`, in a namespace if one is given."""
    return run("ip", *(["-n", namespace] if namespace else []), *arguments)


def until(condition: Callable[[], object], *, within: float = 5.0) -> None:
    """Look until something is true."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


@contextmanager
def scratch_namespace() -> Iterator[str]:
    """Make a namespace with lo for the length of the block."""
    name = unique_name()
    ip("netns", "add", name)
    try:
        ip("link", "set", "lo", "up", namespace=name)
        yield name
    finally:
        for process in ip("netns", "pids", name).split():
            with suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        ip("netns", "delete", name)


def socket_in(name: str, family: int, kind: int) -> socket.socket:
    """Make a socket that belongs to a namespace."""
    descriptor = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return socket_inside(descriptor, family, kind)
    finally:
        os.close(descriptor)


class KeyPair:
    """A WireGuard key and its public half, in base64."""

    def __init__(self) -> None:
        key = X25519PrivateKey.generate()
        self.private = base64.b64encode(key.private_bytes_raw()).decode()
        self.public = base64.b64encode(key.public_key().public_bytes_raw()).decode()


class TunnelServer:
    """A WireGuard server; behind it, 1.1.1.1 and 10.66.0.1 echo what they are told."""

    def __init__(self, *, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self.keys = KeyPair()
        self.heard: list[str] = []
        """From where connections came."""
        self._go: subprocess.Popen[bytes] | None = None
        self._clients = ""

    def accept(self, client: KeyPair, *allowed: str, preshared: str | None = None) -> None:
        """Let a client in, from these addresses or the usual one."""
        addresses = ", ".join(allowed or ["10.5.0.2/32"])
        self._clients += f"[Peer]\nPublicKey={client.public}\nAllowedIPs={addresses}\n"
        if preshared:
            self._clients += f"PresharedKey={preshared}\n"
        self._configure()

    def start(self) -> None:
        """Start it, or start it again with all that it knew lost."""
        self._go = subprocess.Popen(
            ["wireguard-go", "-f", self.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # Not by `wg show`: it deletes a socket that exists and is not listened on yet.
        until(lambda: _answers(self.name))
        self._configure()
        ip("link", "set", self.name, "netns", self.name)
        for address in ("10.5.0.1/24", "fd05::1/64"):
            ip("address", "add", address, "dev", self.name, namespace=self.name)
        ip("link", "set", self.name, "up", namespace=self.name)
        ip("route", "replace", "default", "dev", self.name, namespace=self.name)

    def stop(self) -> None:
        """Kill it."""
        if self._go is not None:
            self._go.kill()
            self._go.wait()
            self._go = None
        Path(f"/var/run/wireguard/{self.name}.sock").unlink(missing_ok=True)

    def sees(self, client: KeyPair) -> str:
        """Return the address and port from which a client's cipher text comes."""
        said = run("wg", "show", self.name, "endpoints")
        return next(line.split()[1] for line in said.splitlines() if line.startswith(client.public))

    def endpoint(self, client: KeyPair, **differing: Any) -> tuple[Endpoint, Server]:
        """Return what a client needs to reach it."""
        server = Server(host="127.0.0.1", port=self.port)
        values: dict[str, Any] = {
            "id": self.name,
            "name": self.name,
            "provider": "tests",
            "servers": [server],
            "public_key": self.keys.public,
            "private_key": client.private,
            "addresses": ["10.5.0.2/32"],
            "dns": ["10.5.0.1"],
            "gateway": "10.5.0.1",
        }
        return Endpoint(**(values | differing)), server

    def _configure(self) -> None:
        if self._go is not None:
            own = f"[Interface]\nPrivateKey={self.keys.private}\nListenPort={self.port}\n"
            run("wg", "setconf", self.name, "/dev/stdin", text=own + self._clients)


@contextmanager
def tunnel_server() -> Iterator[TunnelServer]:
    """Run a WireGuard server on the loopback, and a world behind it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    with scratch_namespace() as name:
        for address in ("1.1.1.1/32", "10.66.0.1/32", "2606:4700::1111/128", "fd99::1/128"):
            ip("address", "add", address, "dev", "lo", namespace=name)
        server = TunnelServer(name=name, port=port)
        try:
            server.start()
            with _echo_service(server):
                yield server
        finally:
            server.stop()


@contextmanager
def _echo_service(server: TunnelServer) -> Iterator[None]:
    with socket_in(server.name, socket.AF_INET6, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(("::", ECHO))
        listening.listen()

        def serve() -> None:
            with suppress(OSError):  # shut down: the end
                while True:
                    connection, address = listening.accept()
                    server.heard.append(address[0].removeprefix("::ffff:"))
                    Thread(target=echo, args=[connection], daemon=True).start()

        def echo(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                while data := connection.recv(4096):
                    connection.sendall(data)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _answers(name: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        return connection.connect_ex(f"/var/run/wireguard/{name}.sock") == 0
