"""Which request went to which backend, read off the loopback interface: a hung backend keeps no record of its own.

    wire.py LOG       one line `ID PORT TIME` for each request head, the first time it is on its way to that port; until standard input ends
"""

import os
import re
import select
import socket
import sys
import time

ETH_P_IP = 0x0800
PACKET_HOST = 0
HEAD = re.compile(rb"(?:GET|POST) /r/(\S+) HTTP")


def main():
    """The tap is in front of the packet filter, so that a request counts as sent even where it is dropped."""
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
    tap.bind(("lo", ETH_P_IP))
    seen = set()
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([tap, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        packet, address = tap.recvfrom(4096)
        if address[2] != PACKET_HOST:  # every packet passes twice, on its way out and in
            continue
        head = (packet[0] & 15) * 4
        payload = head + (packet[head + 12] >> 4) * 4
        found = HEAD.match(packet, payload)
        port = int.from_bytes(packet[head + 2:head + 4], "big")
        if found and (found[1], port) not in seen:  # else it is sent again by TCP only
            seen.add((found[1], port))
            os.write(log, b"%s %d %.6f\n" % (found[1], port, time.monotonic()))


if __name__ == "__main__":
    main()
