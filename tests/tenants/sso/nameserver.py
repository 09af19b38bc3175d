"""A name server of a few TXT records, on loopback, over UDP."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


@dataclass
class Nameserver:
    address: str = ""
    #: By name, without a final dot.
    records: dict[str, str] = field(default_factory=dict)
    #: It knows nothing and says that something is wrong with it.
    is_broken: bool = False

    def answer(self, wire: bytes) -> bytes:
        asked = dns.message.from_wire(wire)
        answer = dns.message.make_response(asked)
        answer.flags |= dns.flags.RA
        name = asked.question[0].name.to_text(omit_final_dot=True).lower()
        if self.is_broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif name in self.records:
            answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "TXT", f'"{self.records[name]}"'))
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer.to_wire()


@contextmanager
def running() -> Iterator[Nameserver]:
    server = Nameserver()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(0.05)
        server.address = f"127.0.0.1:{listening.getsockname()[1]}"
        stopped = threading.Event()

        def serve() -> None:
            while not stopped.is_set():
                try:
                    wire, sender = listening.recvfrom(4096)
                except TimeoutError:
                    continue
                listening.sendto(server.answer(wire), sender)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server
        stopped.set()
        thread.join()
