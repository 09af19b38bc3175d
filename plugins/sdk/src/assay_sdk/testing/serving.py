"""Serves stand-ins over real HTTP, on this machine alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from assay_sdk.testing.simulator import Simulator

HOST = "127.0.0.1"


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Its lines are nobody's news; ``Simulator.calls`` has them."""

    def send_response(self, code: int, message: str | None = None) -> None:
        """The stand-in's own headers alone: this machine's date beside that of its clock would be two instants."""
        self.send_response_only(code, message)

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """A reset that was asked for, too: the caller sees a connection that ends."""
        self.close_connection = True


@contextmanager
def running(simulator: Simulator, *, port: int = 0) -> Iterator[str]:
    """Its address, for as long as the block lasts; port 0 takes a free one.

    Whoever calls it through ``assay_sdk.egress`` has to allow the address first: ``egress.configure(["127.0.0.1"])``.
    """
    server = make_server(HOST, port, simulator, threaded=True, request_handler=_Quiet, passthrough_errors=True)
    simulator.address = f"http://{HOST}:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name=f"simulator-{simulator.name}")
    thread.daemon = True
    thread.start()
    try:
        yield simulator.address
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
