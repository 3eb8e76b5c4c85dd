#!/usr/bin/env -S python3 -B
"""A TCP proxy that misbehaves on command: proxy.py PORT TARGET_PORT, both on 127.0.0.1.

Commands on stdin, one a line; each is answered with "= ok N", N the number of open connections:

    cut rst|fin     end every connection: by a reset, or in an orderly way in the middle of whatever was being sent
    hole on|off     packets from clients vanish before TCP sees them (a socket filter drops them), nothing is sent to them:
                    a half-open path, on which not even a keepalive probe or a SYN is answered. Off: the old ones are reset
    stall on|off    nothing is forwarded, but the kernel goes on to acknowledge: a peer that lives and says nothing
    refuse on|off   the port is closed: new connections are refused
    split on|off    what the server sends arrives in pieces of random size, the first of them tiny
    delay MS        every piece is held back for so long
    limit BYTES     a connection is reset after it has carried so many bytes from the server; 0: no limit
    target PORT     new connections go there
    count           nothing
"""

import asyncio
import ctypes
import random
import socket
import struct
import sys

if __name__ != "__main__":
    from .process import Helper, free_port

PIECE = 65536
SPLIT_PAUSE = 0.001  # seconds between pieces, so that they arrive one by one
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)  # classic BPF: BPF_RET | BPF_K, 0 = keep no byte of the packet


def drop_packets(sock, drop):
    if drop:
        code = ctypes.create_string_buffer(DROP_ALL)
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(code)))
    else:
        sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


class Link:
    """One client connection and the one that was made to the server for it."""

    def __init__(self, proxy, client, server):
        self.proxy, self.client, self.server, self.carried, self.closed = proxy, client, server, 0, False
        self.random = random.Random(1)
        for sock in (client, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tasks = [asyncio.ensure_future(self.pump(client, server, False)),
                      asyncio.ensure_future(self.pump(server, client, True))]

    def pieces(self, data):
        rest = data
        for size in (self.random.randrange(1, 8), self.random.randrange(1, 64), self.random.randrange(1, 4096)):
            yield rest[:size]
            rest = rest[size:]
        yield rest

    async def pump(self, source, sink, from_server):
        loop, proxy = asyncio.get_running_loop(), self.proxy
        try:
            while data := await loop.sock_recv(source, PIECE):
                if from_server and proxy.limit:
                    data = data[:proxy.limit - self.carried]
                    self.carried += len(data)
                split = proxy.split and from_server
                for piece in self.pieces(data) if split else [data]:
                    await asyncio.sleep(max(proxy.delay, SPLIT_PAUSE if split else 0))
                    await proxy.flowing.wait()
                    await loop.sock_sendall(sink, piece)
                if from_server and proxy.limit and self.carried >= proxy.limit:
                    self.close(reset=True)
            self.close(reset=False)
        except OSError:
            self.close(reset=True)
        except asyncio.CancelledError:
            pass

    def close(self, reset):
        if self.closed:
            return
        self.closed = True
        self.proxy.links.discard(self)
        for task in self.tasks:
            if task is not asyncio.current_task():
                task.cancel()
        loop = asyncio.get_running_loop()
        for sock in (self.client, self.server):
            # A task gives up its socket when it runs again, and by then the number may be another connection's, which would be reset.
            loop.remove_reader(sock)
            loop.remove_writer(sock)
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()


class Faults:
    def __init__(self, port, target):
        self.port, self.target, self.links = port, target, set()
        self.split, self.delay, self.limit, self.holed = False, 0, 0, False
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.listener = self.accepting = None
        self.listen(True)

    def listen(self, on):
        if self.accepting:
            self.accepting.cancel()
            self.listener.close()
            self.accepting = None
        if on:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", self.port))
            self.listener.listen(512)
            self.listener.setblocking(False)
            self.accepting = asyncio.ensure_future(self.accept())

    async def accept(self):
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(self.listener)
            server = socket.socket()
            server.setblocking(False)
            try:
                await loop.sock_connect(server, ("127.0.0.1", self.target))
            except OSError:
                server.close()
                client.close()
                continue
            self.links.add(Link(self, client, server))

    def cut(self, reset=True):
        for link in list(self.links):
            link.close(reset)

    def hole(self, on):
        if on == self.holed:
            return
        self.holed = on
        self.flow(not on)
        for sock in [self.listener, *(link.client for link in self.links)]:
            drop_packets(sock, on)
        if not on:
            self.cut()

    def flow(self, on):
        if on:
            self.flowing.set()
        else:
            self.flowing.clear()

    def obey(self, command):
        verb, _, word = command.strip().partition(" ")
        on = word == "on"
        {
            "cut": lambda: self.cut(word == "rst"),
            "hole": lambda: self.hole(on),
            "stall": lambda: self.flow(not on),
            "refuse": lambda: self.listen(not on),
            "split": lambda: setattr(self, "split", on),
            "delay": lambda: setattr(self, "delay", float(word) / 1000),
            "limit": lambda: setattr(self, "limit", int(word)),
            "target": lambda: setattr(self, "target", int(word)),
            "count": lambda: None,
        }[verb]()
        print(f"= ok {len(self.links)}", flush=True)


async def serve(port, target):
    faults, commands = Faults(port, target), asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print("= ok 0", flush=True)
    while command := await commands.readline():
        faults.obey(command.decode())


class Proxy:
    """The proxy as a child of the test: `proxy.say("cut rst")`."""

    def __init__(self, target, state):
        self.port = free_port()
        self.helper = Helper("proxy", [sys.executable, "-B", __file__, self.port, target], state / "proxy.log")
        self.helper.answer()

    def say(self, command):
        """Gives a command; returns how many connections are open after it."""
        return int(self.helper.ask(command)[1].split()[1])


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
