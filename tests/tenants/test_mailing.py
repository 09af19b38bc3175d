"""Mail through a real SMTP server, with all that can go wrong on the way."""

import email.policy
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import time_machine
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from assay_tenants import mailing
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.errors import BadInput
from assay_tenants.mailing import Post, courier, post, quoted, send
from assay_tenants.mailing.models import Mail

_numbers = count(1)


class Server:
    """What an SMTP server got, and what it answers."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []
        self.users: list[bytes] = []
        self.answers: list[str] = []

    async def handle_RCPT(self, _: object, __: object, envelope: Any, address: str, ___: object) -> str:  # noqa: N802 # aiosmtpd's own name
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _: object, __: object, envelope: Any) -> str:  # noqa: N802 # as above
        self.got.append(message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    def authenticate(self, _: object, __: object, ___: object, ____: object, given: Any) -> AuthResult:
        self.users.append(given.login)
        return AuthResult(success=given.password == b"right", handled=False)


@pytest.fixture
def served(connected: None) -> Iterator[Callable[..., AbstractContextManager[Server]]]:
    """Runs a server and configures mail to go there."""
    before = mailing.current_post()

    @contextmanager
    def serve(scheme: str = "smtp", login: str = "", **options: Any) -> Iterator[Server]:
        server = Server()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        controller = Controller(server, hostname="127.0.0.1", port=port, authenticator=server.authenticate, **options)
        controller.start()
        mailing.configure(Post(f"{scheme}://{login}localhost:{port}", "Assay <assay@example.test>"))
        try:
            yield server
        finally:
            controller.stop()

    with directory_session() as session:
        session.execute(text("UPDATE tenancy.mails SET state = 'shown' WHERE state = 'waiting'"))
    yield serve
    mailing.configure(before)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    unencrypted = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted)
    (folder / "key.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context, folder / "cert.pem"


def write(**changed: Any) -> str:
    to = f"mail{next(_numbers)}@example.test"
    with directory_session() as session:
        send(session, **{"to": to, "subject": "Hello", "text": "One line.\n.\nAnother, «ünïcode».\n", **changed})
    return to


def row(to: str) -> Mail:
    with directory_session() as session:
        return session.scalars(select(Mail).where(Mail.recipient == to)).one()


def test_a_mail_arrives_as_it_was_written_and_is_forgotten(served) -> None:
    with served() as server:
        to = write(subject="Grüße aus “Hà Nội”")
        assert courier.deliver_one()
        assert not courier.deliver_one()
    (got,) = server.got
    assert (got["To"], got["From"], got["Subject"]) == (to, "Assay <assay@example.test>", "Grüße aus “Hà Nội”")
    assert got.get_content().replace("\r\n", "\n") == "One line.\n.\nAnother, «ünïcode».\n"
    assert got["Auto-Submitted"] == "auto-generated"
    sent = row(to)
    assert (sent.state, sent.body, sent.attempts) == ("sent", "", 1)
    assert got["Message-ID"] == f"<assay-0-{sent.id}@example.test>"


def test_a_mail_of_a_transaction_that_failed_is_never_sent(served) -> None:
    with served() as server:
        with pytest.raises(RuntimeError), directory_session() as session:
            send(session, to="nobody@example.test", subject="Hello", text="…")
            raise RuntimeError
        assert not courier.deliver_one()
    assert server.got == []


def test_a_tenants_work_writes_mail_and_reads_none(served, tenant) -> None:
    with served() as server:
        with tenant_session(tenant.tenant_id) as session:
            send(session, to="mira@example.test", subject="Hello", text="…")
            assert mailing.count_since(session, tenant.tenant_id, datetime.now(UTC) - timedelta(days=1)) == 1
        assert courier.deliver_one()
    assert server.got[0]["To"] == "mira@example.test"
    with pytest.raises(ProgrammingError, match="permission denied"), tenant_session(tenant.tenant_id) as session:
        session.execute(text("SELECT body FROM tenancy.mails WHERE tenant_id = 1"))
    with pytest.raises(ProgrammingError, match="row-level security"), tenant_session(tenant.tenant_id) as session:
        send(session, to="mira@example.test", subject="Hello", text="…", tenant_id=tenant.tenant_id + 1)


def test_what_is_refused_for_now_is_tried_again_later_and_later(served) -> None:
    pauses = []
    with served() as server, time_machine.travel(datetime.now(UTC), tick=False) as clock:
        server.answers = ["450 busy"] * 3
        to = write()
        while courier.deliver_one():
            waiting = row(to)
            if waiting.state == "sent":
                break
            assert waiting.error == "The mail server said 450 busy"
            pauses.append((waiting.due_at - datetime.now(UTC)).total_seconds())
            assert not courier.deliver_one()
            clock.shift(pauses[-1])
    assert pauses == [20, 40, 80]
    assert len(server.got) == 1


def test_a_server_that_is_away_costs_nothing_but_time(served) -> None:
    mailing.configure(Post("smtp://127.0.0.1:1", "assay@example.test"))
    to = write()
    assert courier.deliver_one()
    waiting = row(to)
    assert (waiting.state, waiting.body != "") == ("waiting", True)
    assert "can't be reached" in waiting.error
    with time_machine.travel(datetime.now(UTC) + timedelta(days=2, minutes=1)):
        assert courier.deliver_one()
    over = row(to)
    assert (over.state, over.body) == ("given_up", "")
    assert over.error.startswith("Tried 2 times in 2 days.")


def test_a_recipient_that_is_unknown_is_given_up_at_once(served) -> None:
    with served() as server:
        server.answers = ["550 no such user"]
        to = write()
        courier.deliver_one()
    assert (row(to).state, row(to).error) == ("given_up", "The mail server said 550 no such user")


def test_a_courier_that_dies_leaves_the_mail_to_another(served, monkeypatch) -> None:
    with served() as server:
        to = write()
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            # Killed when the server has taken the mail and that is not written down yet.
            patch.setattr(courier, "_end", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
            courier.deliver_one()
        assert not courier.deliver_one()
        with time_machine.travel(datetime.now(UTC) + courier.LEASE):
            assert courier.deliver_one()
    assert row(to).state == "sent"
    assert len({got["Message-ID"] for got in server.got}) == 1


def test_several_couriers_send_each_mail_once(served) -> None:
    with served() as server:
        written = {write() for _ in range(12)}
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: [None for _ in iter(courier.deliver_one, False)], range(4)))
    assert sorted(got["To"] for got in server.got) == sorted(written)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        pytest.param({"to": "a@example.test\nBcc: all@example.test"}, "email", id="a header in the address"),
        pytest.param({"to": "a@example.test, b@example.test"}, "email", id="two addresses"),
        pytest.param({"to": "Ada <a@example.test>"}, "email", id="a name with the address"),
        pytest.param({"subject": "Hello\r\nBcc: all@example.test"}, "subject", id="a header in the subject"),
        pytest.param({"subject": "Hello\u2028again"}, "subject", id="another kind of new line"),
        pytest.param({"subject": ""}, "subject", id="no subject"),
        pytest.param({"subject": "x" * 201}, "subject", id="a long subject"),
    ],
)
def test_what_is_no_line_of_a_header_is_refused(connected, changed: dict[str, str], field: str) -> None:
    with pytest.raises(BadInput) as refused:
        write(**changed)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Quartz & Co", "“Quartz & Co”"),
        ("win at http://evil.example/x now", "“win at http:// evil. example/x now”"),
        ("x" * 200, "“" + "x" * 79 + "…”"),
    ],
)
def test_a_name_in_a_mail_is_no_link(name: str, said: str) -> None:
    assert quoted(name) == said


class TestEncryption:
    def test_starttls_is_insisted_on(self, served, tls, monkeypatch) -> None:
        context, certificate = tls
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with served("starttls", "ada:right@", tls_context=context, require_starttls=True) as server:
            to = write()
            courier.deliver_one()
        assert row(to).state == "sent"
        assert server.users == [b"ada"]
        with served("starttls", "ada:right@") as server:
            to = write()
            courier.deliver_one()
        assert row(to).state == "waiting"
        assert server.users == []

    def test_a_server_that_nobody_vouches_for_gets_nothing(self, served, tls, monkeypatch) -> None:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        with served("starttls", tls_context=tls[0]) as server:
            to = write()
            courier.deliver_one()
        assert "certificate" in row(to).error.lower()
        assert server.got == []

    def test_from_the_first_byte(self, served, tls, monkeypatch) -> None:
        context, certificate = tls
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with served("smtps", ssl_context=context) as server:
            write()
            courier.deliver_one()
        assert len(server.got) == 1

    def test_a_wrong_password_is_a_matter_of_settings_not_of_the_mail(self, served) -> None:
        with served("smtp", "ada:wrong@", auth_require_tls=False) as server:
            to = write()
            courier.deliver_one()
        assert (row(to).state, "user name and password" in row(to).error) == ("waiting", True)
        assert server.got == []

    def test_no_password_goes_unencrypted_to_another_machine(self, served, monkeypatch) -> None:
        with served("smtp", "ada:right@", auth_require_tls=False) as server:
            monkeypatch.setattr(post, "_HERE", frozenset())
            to = write()
            courier.deliver_one()
        assert "unencrypted" in row(to).error
        assert server.users == []


def test_without_a_server_mails_are_shown_and_told_where_only_the_owner_looks(served, monkeypatch) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(courier.log, "info", lambda _, **values: told.append(values), raising=False)
    private = Post(is_private=True)
    for way in (private, replace(private, is_private=False)):
        mailing.configure(way)
        to = write()
        courier.deliver_one()
        assert row(to).state == "shown"
        assert row(to).id in [mail.id for mail in courier.list_shown()]
    assert [values.get("read_it_at") for values in told] == ["http://127.0.0.1:8000/outbox", None]


def test_old_mails_are_forgotten(served) -> None:
    mailing.configure(Post())
    to = write()
    courier.deliver_one()
    with time_machine.travel(datetime.now(UTC) + timedelta(days=15)):
        courier.prune()
    with directory_session() as session:
        assert session.scalars(select(Mail).where(Mail.recipient == to)).one_or_none() is None
