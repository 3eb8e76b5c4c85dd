"""What comes over the socket is hostile: other versions, broken messages, consumers that ask and do not read."""

import contextlib
import random
import struct

from kit import attach
from kit.attach import Attached, Gone, Refused
from kit.fold import Watch, wait_equal
from kit.servers import Daemon, Fakekube
from kit.world import World, expect, expect_all, wait_until

PACKETS, PER_USER_MAX, KR_ERR_LIMIT = 600, 256, -13


def versions(programs):
    """A library of another layout or protocol is refused with a text that says what to do."""
    with World(programs, "versions") as world:
        daemon = Daemon(world, Fakekube(world).kubeconfig)
        for layout in ((99, 0), (0, 0), (65535, 65535)):
            try:
                Attached(daemon.socket, layout=layout).close()
                expect(False, f"layout {layout} was taken")
            except Refused as refused:
                expect(refused.code == -5, f"{refused}")
                expect_all(refused.text, f"{layout[0]}.{layout[1]}", "from one release")
                print("    ", refused.text)
        with Attached(daemon.socket, greet=False) as consumer:
            consumer.socket.send(attach.message(attach.HELLO, 1, bytes(72), version=2))
            try:
                consumer.answer(attach.WELCOME)
                expect(False, "protocol 2 was taken")
            except Refused as refused:
                expect(refused.code == -5, f"{refused}")
                print("    ", refused.text)
        with Attached(daemon.socket, greet=False) as consumer:
            for number in range(2):  # HELLO first, and once
                consumer.socket.send(attach.message(attach.QUERY, 7, struct.pack("<IHH", 1, 0, 0)) if not number else attach.hello())
                with contextlib.suppress(Refused):
                    consumer.answer(attach.WELCOME)
                    expect(number == 1, "an answer before HELLO")
            consumer.socket.send(attach.hello())
            try:
                consumer.answer(attach.WELCOME)
                expect(False, "HELLO twice")
            except Refused:
                pass


def refusals(programs):
    """Each malformed message is refused by a text, and the connection goes on."""
    with World(programs, "refusals") as world:
        fake = Fakekube(world)
        daemon = Daemon(world, fake.kubeconfig)
        def spec(lengths, text=b"", form=0, flags=0):
            return struct.pack("<II8H", form, flags, *lengths, 0) + text
        good = (6, 0, 2, 4, 0, 0, 0)
        cases = {
            "short spec": (attach.OPEN_LIST, b"\0" * 23),
            "lengths beyond the packet": (attach.OPEN_LIST, spec((65535,) * 7, b"fake-1v1pods")),
            "one byte too many": (attach.OPEN_LIST, spec(good, b"fake-1v1podsx")),
            "one byte too few": (attach.OPEN_LIST, spec(good, b"fake-1v1pod")),
            "a string over its limit": (attach.OPEN_LIST, spec((6, 0, 2, 4, 0, 4097, 0), b"fake-1v1pods" + b"a" * 4097)),
            "a NUL": (attach.OPEN_LIST, spec(good, b"fake-\0v1pods")),
            "no cluster": (attach.OPEN_LIST, spec((0, 0, 2, 4, 0, 0, 0), b"v1pods")),
            "unknown form": (attach.OPEN_LIST, spec(good, b"fake-1v1pods", form=2)),
            "unknown flag": (attach.OPEN_LIST, spec(good, b"fake-1v1pods", flags=2)),
            "a path in a name": (attach.OPEN_LIST, spec((6, 0, 2, 9, 0, 0, 0), b"fake-1v1../../pod")),
            "a line end in a name": (attach.OPEN_LIST, spec((6, 0, 2, 6, 0, 0, 0), b"fake-1v1pods\r\n")),
            "a handle that is none": (attach.CLOSE_LIST, struct.pack("<II", 77, 0)),
            "a shard that is none": (attach.SEGMENT, struct.pack("<IIQ", 2**32 - 1, 0, 0)),
            "a short query": (attach.QUERY, b"\0"),
            "an unknown query": (attach.QUERY, struct.pack("<IHH", 9, 0, 0)),
            "an answer as a question": (attach.WELCOME, bytes(56)),
            "an unknown type": (999, b""),
        }
        with Attached(daemon.socket) as consumer:
            for name, (kind, body) in cases.items():
                try:
                    consumer.ask(kind, attach.OK, body)
                    expect(False, f"{name}: taken")
                except Refused as refused:
                    expect(refused.text, f"{name}: no text")
                    print(f"    {name}: {refused.text}")
            for name, packet in {"no head": b"x" * 15, "another magic": attach.message(attach.QUERY, 1, magic=1),
                                 "a wrong length": attach.message(attach.QUERY, 1, size=17)}.items():
                with Attached(daemon.socket) as other:
                    other.socket.send(packet)
                    try:
                        other.receive()
                        expect(False, f"{name}: answered")
                    except Gone:
                        pass
            _, shard, _, _ = consumer.open("fake-1", "pods", labels="a=" + "b" * 63)
            consumer.segment(shard, 0).close()
            for number in (2**32 - 1, 70000):
                try:
                    consumer.segment(shard, number)
                    expect(False, f"segment {number}")
                except Refused:
                    pass


def mutate(draw, data):
    data = bytearray(data)
    for _ in range(draw.randrange(1, 6)):
        how = draw.randrange(5)
        at = draw.randrange(len(data)) if data else 0
        if how == 0 and data:
            data[at] = draw.randrange(256)
        elif how == 1 and data:
            data[at] ^= 1 << draw.randrange(8)
        elif how == 2:
            del data[at:]
        elif how == 3:
            data += draw.randbytes(draw.randrange(1, 300))
        elif len(data) >= 2:
            struct.pack_into("<H", data, at & ~1 if at < len(data) - 1 else 0, draw.choice((0, 1, 0x7FFF, 0xFFFF)))
    return bytes(data)


def fuzz(programs):
    """Random and damaged packets, in and out of order: the daemon lives, others see nothing, nothing leaks."""
    with World(programs, "fuzz") as world:
        fake = Fakekube(world)
        daemon = Daemon(world, fake.kubeconfig, settings={"limits": {"lingerSeconds": 0}})
        watch = Watch(world, daemon, "pods", "-A", cluster="fake-1")
        wait_equal(fake, daemon, [("pods", watch)], ["pods"])
        draw = random.Random(5)
        strings = [b"fake-1", b"", b"v1", b"pods", b"", b"", b""]
        seeds = [attach.hello(), attach.message(attach.OPEN_LIST, 3, struct.pack("<II8H", 0, 0, *map(len, strings), 0) + b"".join(strings)),
                 attach.message(attach.CLOSE_LIST, 4, struct.pack("<II", 1, 0)), attach.message(attach.SEGMENT, 5, struct.pack("<IIQ", 0, 0, 0)),
                 attach.message(attach.QUERY, 6, struct.pack("<IHH", 1, 0, 0)),
                 attach.message(attach.QUERY, 7, struct.pack("<IHH", 2, 6, 4) + b"fake-1pods")]
        sent = 0
        while sent < PACKETS:
            with contextlib.suppress(Gone, Refused), Attached(daemon.socket, greet=draw.random() < 0.8) as consumer:
                consumer.socket.setblocking(False)
                for _ in range(draw.randrange(1, 30)):
                    packet = draw.choice(seeds)
                    packet = mutate(draw, packet) if draw.random() < 0.8 else packet
                    packet = draw.randbytes(draw.choice((1, 15, 16, 17, 12288, 20000))) if draw.random() < 0.05 else packet
                    if len(packet) >= 16 and draw.random() < 0.7:  # get past the first check
                        packet = struct.pack("<IHHII", attach.MAGIC, 1, *struct.unpack_from("<H", packet, 6), 9, len(packet)) + packet[16:]
                    sent += 1
                    try:
                        consumer.socket.send(packet)
                        while draw.random() < 0.7:
                            consumer.receive()
                    except BlockingIOError:
                        pass
                    except OSError:
                        break
        daemon.check()
        fake.say("run fake-1 pods update 30")
        wait_equal(fake, daemon, [("pods", watch)], ["pods"])
        expect(("STALE", "fake-1") not in watch.marks, "the consumer was disturbed")
        wait_until(lambda: f"all are gone: {daemon.status()['consumers']}", lambda: len(daemon.status()["consumers"]) == 2)
        expect(daemon.row(resource="pods", label_selector="", namespace="")["consumers"] == 1, "openings of the dead are left")
        expect(daemon.end() == 0, "SIGTERM: exit status")


def greedy(programs):
    """One user's connections are bounded, and who asks and does not read is cut off; others are answered all the time."""
    with World(programs, "greedy") as world:
        fake = Fakekube(world)
        daemon = Daemon(world, fake.kubeconfig)
        watch = Watch(world, daemon, "pods", "-A", cluster="fake-1")
        wait_equal(fake, daemon, [("pods", watch)], ["pods"])
        mute = Attached(daemon.socket)
        mute.socket.settimeout(5)
        question = attach.message(attach.SEGMENT, 1, struct.pack("<IIQ", 0, 0, 0))
        with contextlib.suppress(OSError):
            for _ in range(20000):
                mute.socket.send(question)
            expect(False, "20,000 questions were taken from somebody who reads no answer")
        mute.close()
        crowd, refused = [], 0
        for _ in range(PER_USER_MAX + 20):
            try:
                crowd.append(Attached(daemon.socket))
            except Refused as refusal:
                expect(refusal.code == KR_ERR_LIMIT and "close some" in refusal.text, f"turned away: {refusal}")
                refused += 1
        expect(refused >= 15, f"{len(crowd)} connections of one user, {refused} refused")
        expect(len(crowd) >= PER_USER_MAX - 10, f"only {len(crowd)} connections")
        status, _, errors = daemon.kubering("get", "pods", "-A", "--cluster", "fake-1")
        expect(status != 0 and f"has {PER_USER_MAX} connections" in errors, f"the CLI, turned away: {status} {errors}")
        crowd[0].status()
        for consumer in crowd[1:]:
            consumer.close()
        wait_until("they are gone", lambda: len(crowd[0].status()["consumers"]) == 2)
        fake.say("run fake-1 pods update 30")
        wait_equal(fake, daemon, [("pods", watch)], ["pods"])


SCENARIOS = {"stranger.versions": versions, "stranger.refusals": refusals, "stranger.fuzz": fuzz, "stranger.greedy": greedy}
