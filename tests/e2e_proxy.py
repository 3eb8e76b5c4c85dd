#!/usr/bin/env -S python3 -B
"""The proxy of the end-to-end tests does nothing that it was not told to: no connection is lost while others end and begin beside it."""

import socket
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "e2e"))

from kit.proxy import Proxy  # noqa: E402

ROUNDS, AT_ONCE = 400, 4


def echo(listener):
    def serve(sock):
        with sock:
            while data := sock.recv(4096):
                sock.sendall(data)

    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=[sock], daemon=True).start()


def asks(sock, text):
    sock.sendall(text)
    got = b""
    while len(got) < len(text):
        data = sock.recv(4096)
        if not data:
            raise ConnectionError("ended by the proxy")
        got += data
    assert got == text


def connect(port):
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    asks(sock, b"hello")
    return sock


def main():
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryDirectory() as state:
        threading.Thread(target=echo, args=[listener], daemon=True).start()
        proxy = Proxy(listener.getsockname()[1], Path(state))
        try:
            socks = [connect(proxy.port) for _ in range(AT_ONCE)]
            for _ in range(ROUNDS):
                socks.pop(0).close()
                socks.append(connect(proxy.port))
                for sock in socks:
                    asks(sock, b"are you there?")
            print(f"{ROUNDS} connections came and went, {proxy.say('count')} are open")
        finally:
            proxy.helper.close()


main()
