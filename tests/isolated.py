"""Run a command in a network of its own, and print as JSON whom it asked for and whom it wanted to reach.

    unshare --user --map-root-user --net --mount python tests/isolated.py FOLDER COMMAND…

All addresses lead back here. A name server says that every name has an address; whatever is sent to another address
than loopback's is recorded.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

ETHERNET = 14  # bytes of a header


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def set_up(folder: Path) -> None:
    run("ip", "link", "set", "lo", "up")
    run("ip", "route", "add", "local", "0.0.0.0/0", "dev", "lo")
    names = folder / "resolv.conf"
    names.write_text("nameserver 127.0.0.1\n")
    run("mount", "--bind", str(names), "/etc/resolv.conf")


def answer_questions(asked: list[str]) -> None:
    """Answer every question for an address with 10.1.2.3, others with nothing."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def serve() -> None:
        while True:
            question, sender = server.recvfrom(4096)
            labels, at = [], 12
            while length := question[at]:
                labels.append(question[at + 1 : at + 1 + length].decode("ascii", "replace"))
                at += 1 + length
            asked.append(".".join(labels))
            for_address = question[at + 1 : at + 3] == b"\0\1"
            head = question[:2] + b"\x81\x80\0\1" + (b"\0\1" if for_address else b"\0\0") + b"\0\0\0\0"
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes([10, 1, 2, 3]) if for_address else b""
            server.sendto(head + question[12 : at + 5] + answer, sender)

    threading.Thread(target=serve, daemon=True).start()


def watch_packets(reached: set[str]) -> None:
    """Record the targets of all packets but those to loopback's addresses."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    packets.bind(("lo", 0))

    def watch() -> None:
        while True:
            packet = packets.recv(1 << 16)
            kind, body = packet[ETHERNET - 2 : ETHERNET], packet[ETHERNET:]
            if kind == b"\x08\0" and body[16] != 127:
                reached.add(socket.inet_ntoa(body[16:20]))
            elif kind == b"\x86\xdd" and body[24:40] != bytes(15) + b"\1":
                reached.add(socket.inet_ntop(socket.AF_INET6, body[24:40]))

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    asked: list[str] = []
    reached: set[str] = set()
    set_up(Path(sys.argv[1]))
    answer_questions(asked)
    watch_packets(reached)
    # What it says goes to stderr.
    codes = [subprocess.run(command.split(), stdout=sys.stderr).returncode for command in sys.argv[2:]]
    print(json.dumps({"codes": codes, "asked": asked, "reached": sorted(reached)}))


if __name__ == "__main__":
    main()
