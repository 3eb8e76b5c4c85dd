"""The attach protocol (engine/shm/attach.h) spoken by hand: what a consumer can say, well or badly."""

import contextlib
import json
import mmap
import os
import socket
import struct

MAGIC, VERSION, LAYOUT = 0x4352424B, 1, (1, 0)
HELLO, WELCOME, OPEN_LIST, LIST, CLOSE_LIST, SEGMENT, SEGMENT_FD, QUERY, DOCUMENT, OK, ERROR, BYE = range(1, 13)
QUERY_STATUS, QUERY_RESOLVE = 1, 2
HEAD, BYTES_MAX = struct.Struct("<IHHII"), 12288


class Refused(Exception):
    """ATTACH_ERROR: code (enum kr_result) and text."""

    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class Gone(Exception):
    """The daemon closed the connection."""


def message(kind, number, body=b"", magic=MAGIC, version=VERSION, size=None):
    return HEAD.pack(magic, version, kind, number, HEAD.size + len(body) if size is None else size) + body


def hello(name="test", layout=LAYOUT):
    return message(HELLO, 1, struct.pack("<HHI64s", *layout, os.getpid(), name.encode()))


class Attached:
    """One connection; greeted unless told otherwise."""

    def __init__(self, path, greet=True, name="test", layout=LAYOUT, seconds=10):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(seconds)
        self.descriptors, self.number = [], 1
        try:
            self.socket.connect(str(path))
            if greet:
                with contextlib.suppress(BrokenPipeError):  # turned away; the answer says why
                    self.socket.send(hello(name, layout))
                self.answer(WELCOME)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()
        for fd in self.descriptors:
            os.close(fd)
        self.descriptors = []

    def receive_packet(self):
        with contextlib.suppress(ConnectionResetError):  # comes before what was said last
            return socket.recv_fds(self.socket, BYTES_MAX, 4)[:2]
        return socket.recv_fds(self.socket, BYTES_MAX, 4)[:2]

    def receive(self):
        """(type, id, body, descriptors)"""
        try:
            data, fds = self.receive_packet()
        except ConnectionError as error:
            raise Gone(str(error)) from error
        if not data:
            raise Gone("end of the connection")
        self.descriptors += fds
        _, _, kind, number, size = HEAD.unpack_from(data)
        assert size == len(data), f"a message of {len(data)} bytes says {size}"
        return kind, number, data[HEAD.size:], fds

    def answer(self, expected):
        kind, _, body, fds = self.receive()
        if kind == ERROR:
            code, _, text = struct.unpack_from("<iI256s", body)
            raise Refused(code, text.split(b"\0")[0].decode())
        if kind == BYE:
            raise Gone("BYE")
        assert kind == expected, f"answer {kind}, expected {expected}"
        return body, fds

    def ask(self, kind, expected, body=b""):
        self.number += 1
        self.socket.send(message(kind, self.number, body))
        return self.answer(expected)

    def open(self, cluster, resource, version="v1", group="", namespace="", labels="", fields="", form=0):
        """(handle, shard, list, generation)"""
        strings = [s.encode() for s in (cluster, group, version, resource, namespace, labels, fields)]
        body = struct.pack("<II8H", form, 0, *map(len, strings), 0) + b"".join(strings)
        return struct.unpack("<IIII", self.ask(OPEN_LIST, LIST, body)[0])

    def close_list(self, handle):
        self.ask(CLOSE_LIST, OK, struct.pack("<II", handle, 0))

    def query(self, kind, first="", second=""):
        a, b = first.encode(), second.encode()
        _, fds = self.ask(QUERY, DOCUMENT, struct.pack("<IHH", kind, len(a), len(b)) + a + b)
        with os.fdopen(os.dup(fds[0]), "rb") as file:
            file.seek(0)
            text = file.read().rstrip(b"\0")
        os.close(fds[0])
        self.descriptors.remove(fds[0])
        return text

    def status(self):
        return json.loads(self.query(QUERY_STATUS))

    def segment(self, shard, number):
        """The bytes of a segment, mapped read-only."""
        body, fds = self.ask(SEGMENT, SEGMENT_FD, struct.pack("<IIQ", shard, number, 0))
        return mmap.mmap(fds[0], struct.unpack("<IIQ", body)[2], mmap.MAP_SHARED, mmap.PROT_READ)
