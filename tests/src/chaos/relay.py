# IP packets between two network namespaces, lost, doubled, delayed and reordered on demand.
"""Carries IP packets between two network namespaces, and loses, doubles, delays and reorders them on demand.

usage: relay.py NAMESPACE NAME HERE THERE SEED     (addresses of the two ends; root)

Says {"ready": true} on standard output, then follows standard input: one JSON object a line, {"lost": 0.01, "doubled": 0.05, "late": 0.1,
"late_ms": 40}, as shares of all packets; {} is a net without faults. Ends when standard input does.
"""

import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
# Packets under way at most: beyond it they are lost, as in any net.
PACKETS_MAX = 10_000


def open_tun(name):
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return end


def ip(*args):
    subprocess.run(["ip", *args], check=True)


def main():
    namespace, name, here, there, seed = sys.argv[1:]
    chance = random.Random(int(seed))
    ends = [open_tun(name + "a"), open_tun(name + "b")]
    ip("link", "set", name + "b", "netns", namespace)
    ip("address", "add", here, "peer", there, "dev", name + "a")
    ip("link", "set", name + "a", "up")
    ip("-n", namespace, "address", "add", there, "peer", here, "dev", name + "b")
    ip("-n", namespace, "link", "set", name + "b", "up")
    ip("-n", namespace, "link", "set", "lo", "up")
    print('{"ready": true}', flush=True)
    rules, waiting, number = {}, [], 0
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, to, packet = heapq.heappop(waiting)
            try:
                os.write(ends[to], packet)
            except OSError:
                pass  # A full queue loses packets: TCP sends them again.
        pause = max(0.0, waiting[0][0] - now) if waiting else 1.0
        ready, _, _ = select.select([0, *ends], [], [], pause)
        for end in ready:
            if end == 0:
                line = sys.stdin.readline()
                if not line:
                    return
                rules = json.loads(line)
                print(json.dumps({"rules": rules}), flush=True)
                continue
            try:
                packet = os.read(end, 65_536)
            except OSError:
                continue
            to = 1 if end == ends[0] else 0
            copies = 0 if chance.random() < rules.get("lost", 0) else 2 if chance.random() < rules.get("doubled", 0) else 1
            for _ in range(copies):
                late = chance.random() < rules.get("late", 0)
                due = time.monotonic() + (chance.random() * rules.get("late_ms", 20) / 1000 if late else 0)
                number += 1
                if len(waiting) < PACKETS_MAX:
                    heapq.heappush(waiting, (due, number, to, packet))


main()
