"""Reachability of this machine's nodes: the addresses at which a node listens."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

FIRST_PORT, PORTS_OF_A_DOMAIN = 7400, 250
"""DDS (RTPS 9.6.1): domain d has the ports from FIRST_PORT + PORTS_OF_A_DOMAIN * d on."""


def listening(domain: int) -> set[str]:
    """IPv4 addresses at which a node of this process in this domain listens for others; empty without UDP."""
    import rclpy

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("doctor_network", context=context)
    try:
        sockets = _own_sockets()
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
    first = FIRST_PORT + PORTS_OF_A_DOMAIN * domain
    # Each participant has two ports side by side, for discovery and for messages; what it sends from has any.
    return {
        address
        for address, port in sockets
        if first <= port < first + PORTS_OF_A_DOMAIN and (address, port + 1) in sockets
    }


def _own_sockets() -> set[tuple[str, int]]:
    """Address and port of each UDP socket of this process."""
    own = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            own.add(os.readlink(entry))
        except OSError:  # the folder's own, closed by now
            continue
    found = set()
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        columns = line.split()
        if f"socket:[{columns[9]}]" in own:
            address, port = columns[1].split(":")
            # In the processor's byte order, as the kernel keeps it.
            found.add((socket.inet_ntoa(struct.pack("=I", int(address, 16))), int(port, 16)))
    return found
