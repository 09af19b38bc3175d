"""Against real servers on loopback: one that may be called, and canaries that nobody may knock at."""

import gzip
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from assay_sdk import addresses, egress

#: The server's place; loopback's other addresses stand for what must not be called.
ALLOWED = "127.0.0.1"
HIDDEN = "127.0.0.2"


class Answers(BaseHTTPRequestHandler):
    """One answer for each path."""

    canary_port = 0

    def do_GET(self) -> None:
        getattr(self, f"_{self.path.strip('/').partition('?')[0]}")()

    def log_message(self, *_: object) -> None:
        pass

    def _say(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _hello(self) -> None:
        self._say(b"hello")

    def _headers(self) -> None:
        self._say(str(self.headers).encode())

    def _away(self) -> None:
        self._say(b"", 302, Location=f"http://{HIDDEN}:{self.canary_port}/")

    def _away_by_name(self) -> None:
        self._say(b"", 307, Location=f"http://localhost:{self.canary_port}/")

    def _away_with_user(self) -> None:
        self._say(b"", 302, Location=f"http://u:p@{ALLOWED}:{self.server.server_address[1]}/hello")

    def _nowhere(self) -> None:
        self._say(b"", 302, Location="http://xn--/")

    def _near(self) -> None:
        self._say(b"", 302, Location="/hello")

    def _round(self) -> None:
        self._say(b"", 302, Location="/round")

    def _announced(self) -> None:
        self._say(b"x" * 2_000)

    def _unannounced(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x" * 2_000)

    def _packed(self) -> None:
        self._say(gzip.compress(b"hello" * 100), Content_Encoding="gzip")

    def _bomb(self) -> None:
        self._say(gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip")

    def _brotli(self) -> None:
        self._say(b"x", Content_Encoding="br")

    def _not_packed(self) -> None:
        self._say(b"plain", Content_Encoding="gzip")

    def _drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        self._trickle(b"x")

    def _drip_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        self._trickle(b"X-A: 1\r\n")

    def _trickle(self, piece: bytes) -> None:
        try:
            for _ in range(200):
                self.wfile.write(piece)
                time.sleep(0.02)
        except OSError:
            pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer((ALLOWED, 0), Answers) as serving:
        serving.daemon_threads = True
        Thread(target=serving.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://{ALLOWED}:{serving.server_address[1]}"
        serving.shutdown()


@pytest.fixture
def canary() -> Iterator[Callable[[], int]]:
    """Listens on one port of every loopback address; tells how many came."""
    listening: list[socket.socket] = []
    port = 0
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        listener = socket.socket(family)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            listener.bind((address, port))
        except OSError:
            continue
        port = port or listener.getsockname()[1]
        listener.listen()
        listener.setblocking(False)
        listening.append(listener)
    Answers.canary_port = port

    def came() -> int:
        count = 0
        for listener in listening:
            try:
                while True:
                    listener.accept()[0].close()
                    count += 1
            except BlockingIOError:
                pass
        return count

    yield came
    for listener in listening:
        listener.close()


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else runs in this process may have been allowed its own; it is again afterwards."""
    monkeypatch.setattr(addresses, "_allowed", ())


@pytest.fixture
def allowed(nothing_else: None) -> None:
    egress.configure((ALLOWED,))


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("127.0.0.2", id="another loopback"),
        pytest.param("127.1", id="short"),
        pytest.param("0x7f.1", id="hexadecimal"),
        pytest.param("0x7f000001", id="one hexadecimal number"),
        pytest.param("2130706433", id="one number"),
        pytest.param("0177.0.0.1", id="octal"),
        pytest.param("0", id="zero"),
        pytest.param("0.0.0.0", id="unspecified"),
        pytest.param("[::]", id="unspecified IPv6"),
        pytest.param("[::1]", id="IPv6"),
        pytest.param("[::ffff:127.0.0.1]", id="mapped"),
        pytest.param("[::ffff:7f00:1]", id="mapped in hexadecimal"),
        pytest.param("[::127.0.0.1]", id="compatible"),
        pytest.param("[64:ff9b::7f00:1]", id="NAT64"),
        pytest.param("[2002:7f00:1::]", id="6to4"),
        pytest.param("localhost", id="name"),
        pytest.param("localhost.", id="name with a dot"),
        pytest.param("LOCALHOST", id="capitals"),
        pytest.param("sub.localhost", id="below localhost"),
        pytest.param("127。0。0。1", id="ideographic stops"),
        pytest.param("①②⑦.⓪.⓪.①", id="circled"),
        pytest.param("%31%32%37.0.0.1", id="percent"),
        pytest.param("user@127.0.0.1", id="user"),
        pytest.param("example.com@127.0.0.1", id="user that looks like a host"),
    ],
)
def test_nobody_knocks_at_our_own_door(host: str, canary: Callable[[], int]) -> None:
    with egress.client() as client, pytest.raises(httpx.RequestError) as refused:
        client.get(f"http://{host}:{Answers.canary_port}/")
    assert canary() == 0
    # Nor does the answer tell one refusal from the other.
    assert "127" not in str(refused.value)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(["127.0.0.1"], id="loopback, as nip.io and its like answer"),
        pytest.param(["93.184.216.34", "127.0.0.1"], id="one of two"),
        pytest.param(["127.0.0.1", "93.184.216.34"], id="the other of two"),
        pytest.param(["::ffff:127.0.0.1"], id="mapped"),
        pytest.param(["fe80::1%lo"], id="scoped"),
        pytest.param(["not an address"], id="no address"),
    ],
)
def test_names_are_judged_by_all_that_they_stand_for(found: list[str], canary: Callable[[], int]) -> None:
    with egress.client(resolver=lambda *_: found) as client, pytest.raises(egress.AddressRefused):
        client.get(f"http://a.example:{Answers.canary_port}/")
    assert canary() == 0


def test_a_name_that_changes_its_mind(server: str, canary: Callable[[], int], allowed: None) -> None:
    asked: list[str] = []

    def resolver(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return [ALLOWED] if len(asked) == 1 else [HIDDEN]

    port = server.rpartition(":")[2]
    with egress.client(resolver=resolver) as client:
        # Looked up once for a connection, which goes where the look-up said.
        assert client.get(f"http://rebinding.example:{port}/hello", headers={"Connection": "close"}).text == "hello"
        assert len(asked) == 1
        with pytest.raises(egress.AddressRefused):
            client.get(f"http://rebinding.example:{Answers.canary_port}/")
    assert canary() == 0


@pytest.mark.parametrize("path", ["away", "away_by_name", "away_with_user", "nowhere"])
def test_redirects_are_checked_like_the_first_address(
    path: str, server: str, canary: Callable[[], int], allowed: None
) -> None:
    def resolver(host: str, port: int) -> Sequence[str]:
        return [host if host[0].isdigit() else HIDDEN]

    with egress.client(redirects=3, resolver=resolver) as client, pytest.raises(egress.AddressRefused):
        client.get(f"{server}/{path}")
    assert canary() == 0


def test_redirects_are_followed_when_asked_for_and_so_often(server: str, allowed: None) -> None:
    with egress.client() as client:
        assert client.get(f"{server}/near").status_code == 302
        with pytest.raises(httpx.TooManyRedirects):
            client.get(f"{server}/near", follow_redirects=True)
    with egress.client(redirects=2) as client:
        assert client.get(f"{server}/near").text == "hello"
        with pytest.raises(httpx.TooManyRedirects):
            client.get(f"{server}/round")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        pytest.param("announced", egress.AnswerTooLarge, id="says its size"),
        pytest.param("unannounced", egress.AnswerTooLarge, id="says none"),
        pytest.param("bomb", egress.AnswerTooLarge, id="unpacks to much more"),
        pytest.param("brotli", httpx.DecodingError, id="packed as was not asked"),
        pytest.param("not_packed", httpx.DecodingError, id="not packed"),
        pytest.param("drip", egress.DeadlinePassed, id="drips"),
        pytest.param("drip_headers", egress.DeadlinePassed, id="drips headers"),
    ],
)
def test_answers_end(path: str, error: type[Exception], server: str, allowed: None) -> None:
    began = time.monotonic()
    with egress.client(deadline=timedelta(seconds=0.4), largest=1_000) as client, pytest.raises(error):
        client.get(f"{server}/{path}")
    assert time.monotonic() - began < 1.5


def test_a_look_up_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(1))
    began = time.monotonic()
    with egress.client(deadline=timedelta(seconds=0.2)) as client, pytest.raises(httpx.TimeoutException):
        client.get("http://slow.example/")
    assert time.monotonic() - began < 0.9


def test_packed_answers_are_read(server: str, allowed: None) -> None:
    with egress.client() as client:
        assert client.get(f"{server}/packed").text == "hello" * 100


def test_proxies_and_passwords_of_the_environment_stay_there(
    server: str, allowed: None, canary: Callable[[], int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text(f"machine {ALLOWED} login ada password hunter2")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{HIDDEN}:{Answers.canary_port}")
    with egress.client() as client:
        assert "authorization" not in client.get(f"{server}/headers").text.lower()
    assert canary() == 0


@pytest.mark.parametrize("option", ["transport", "proxy", "verify", "trust_env", "mounts"])
def test_nothing_goes_round_the_guard(option: str) -> None:
    with pytest.raises(TypeError, match=option):
        egress.client(**{option: None})


def test_certificates_are_verified(tmp_path: Path, allowed: None) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "self-signed.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("self-signed.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "both.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with ThreadingHTTPServer((ALLOWED, 0), Answers) as serving:
        serving.handle_error = lambda *_: None  # type: ignore[method-assign] # the refused handshake is what is wanted
        serving.socket = context.wrap_socket(serving.socket, server_side=True)
        Thread(target=serving.serve_forever, args=(0.02,), daemon=True).start()
        port = serving.server_address[1]
        with egress.client(resolver=lambda *_: [ALLOWED]) as client, pytest.raises(httpx.ConnectError, match="verify"):
            client.get(f"https://self-signed.example:{port}/hello")
        serving.shutdown()


@pytest.mark.parametrize(
    ("url", "word"),
    [
        pytest.param("ftp://example.com/", "https://", id="scheme"),
        pytest.param("file:///etc/passwd", "https://", id="file"),
        pytest.param("javascript:alert(1)", "https://", id="script"),
        pytest.param("//example.com", "https://", id="no scheme"),
        pytest.param("", "https://", id="empty"),
        pytest.param("https://", "host", id="no host"),
        pytest.param("https://ada:pw@example.com/", "password", id="password"),
        pytest.param("https://ada@example.com/", "password", id="user"),
        pytest.param("https://example.com:22/", "Port 22", id="shell"),
        pytest.param("https://example.com:25/", "Port 25", id="mail"),
        pytest.param("https://example.com:6379/", "Port 6379", id="redis"),
        pytest.param("https://example.com:99999/", "no address", id="no port"),
        pytest.param("https://exa mple.com/", "no address", id="blank"),
        pytest.param("https://xn--/", "no address", id="letters that are none"),
        pytest.param("https://10.0.0.1/", "public internet", id="private"),
        pytest.param("http://169.254.169.254/latest/meta-data", "public internet", id="metadata"),
        pytest.param("http://[fd00:ec2::254]/", "public internet", id="metadata by IPv6"),
        pytest.param("http://metadata.google.internal/", "public internet", id="metadata by name"),
    ],
)
def test_what_is_refused_while_it_is_typed(url: str, word: str) -> None:
    with pytest.raises(egress.AddressRefused, match=word):
        egress.check_url(url)
    with egress.client() as client, pytest.raises((egress.AddressRefused, httpx.UnsupportedProtocol)):
        client.get(url)


@pytest.mark.parametrize(
    "url",
    ["https://example.com", "http://example.com:8080/a?b=c", "https://93.184.216.34/", "https://bücher.example/x"],
)
def test_what_is_accepted_while_it_is_typed(url: str) -> None:
    egress.check_url(url)


PUBLIC = ["1.1.1.1", "93.184.216.34", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"]
HIDDEN_ONES = [
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.255.255.254", "169.254.169.254", "172.16.0.1"),
    *("172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1"),
    *("203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *(
        "::",
        "::1",
        "::ffff:8.8.8.8",
        "::8.8.8.8",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
    ),
    *("2002:808:808::1", "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "5f00::1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert egress.is_public(address)


@pytest.mark.parametrize("address", HIDDEN_ONES)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not egress.is_public(address)


@given(st.ip_addresses())
def test_no_address_is_public_that_python_knows_as_another_kind(address: object) -> None:
    if egress.is_public(str(address)):
        assert address.is_global  # type: ignore[attr-defined] # of one of two kinds
        assert not address.is_multicast  # type: ignore[attr-defined] # as above


def test_an_installation_allows_its_own() -> None:
    egress.configure(("10.1.0.0/16", " fd00::/8 ", ""))
    try:
        assert egress.is_public("10.1.2.3")
        assert egress.is_public("fd00::1")
        assert not egress.is_public("10.2.0.1")
        # A mapped form is another address, whatever is behind it.
        assert not egress.is_public("::ffff:10.1.2.3")
    finally:
        egress.configure()
    with pytest.raises(ValueError, match=r"10\.1"):
        egress.configure(("10.1",))
