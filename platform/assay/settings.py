"""Settings: a row for each, read from the environment; with none set, everything runs from one data folder."""

import dataclasses
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

PREFIX = "ASSAY_"
#: Of the settings that plugins declare.
PLUGIN_PREFIX = PREFIX + "PLUGIN_"
MASK = "••••••"
SECRET_KEY_BYTES = 32

T = TypeVar("T")


class BadSetting(ValueError):
    """A setting that can't be used: names the variable, what was wrong and what is accepted."""

    def __init__(self, name: str, wrong: str, accepted: str) -> None:
        self.name = PREFIX + name.upper()
        super().__init__(f"{self.name} {wrong}. Accepted: {accepted}.")


class Refusal(Exception):
    """What a reader says of a text it can't read: what was wrong, what is accepted."""

    def __init__(self, wrong: str, accepted: str) -> None:
        self.wrong, self.accepted = wrong, accepted
        super().__init__(wrong)


class Row(NamedTuple):
    """A setting as `assay doctor` and the README show it."""

    variable: str
    default: str
    help: str
    value: str
    is_set: bool


def text(value: str) -> str:
    return value


def folder(value: str) -> Path:
    return Path(value).expanduser().absolute()


def whole_number(least: int, most: int) -> Callable[[str], int]:
    accepted = f"a whole number from {least} to {most}"

    def read(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise Refusal(f"is not a number: {value!r}", accepted) from None
        if not least <= number <= most:
            raise Refusal(f"is out of range: {number}", accepted)
        return number

    return read


def one_of(*words: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value.upper() not in words:
            raise Refusal(f"is unknown: {value!r}", ", ".join(words))
        return value.upper()

    return read


def word_of(*words: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value.lower() not in words:
            raise Refusal(f"is unknown: {value!r}", ", ".join(words))
        return value.lower()

    return read


def yes_or_no(value: str) -> bool:
    answers = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if value.lower() not in answers:
        raise Refusal(f"is neither yes nor no: {value!r}", "true, false, yes, no, on, off, 1, 0")
    return answers[value.lower()]


def address_of(*schemes: str) -> Callable[[str], str]:
    """Reads a URL; the refusal never repeats the text, which may hold a password."""
    accepted = "an address beginning with " + " or ".join(f"{scheme}://" for scheme in schemes)

    def read(value: str) -> str:
        if urlsplit(value).scheme not in schemes:
            raise Refusal("has another scheme, or none", accepted)
        return value

    return read


def long_secret(value: str) -> str:
    if len(value) < SECRET_KEY_BYTES:
        raise Refusal(f"is too short ({len(value)} characters)", f"at least {SECRET_KEY_BYTES} random characters")
    return value


def key_ring(value: str) -> str:
    # Loaded for those who set it: the supervisor needs no cipher.
    from assay_tenants.sealing import ACCEPTED, Ring

    try:
        Ring.read(value)
    except ValueError as wrong:
        raise Refusal(str(wrong), ACCEPTED) from None
    return value


def host_names(value: str) -> str:
    for one in value.split(","):
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\]", one):
            raise Refusal(f"holds {one!r}", "names without ports, such as leads.example.com, commas between")
    return value


def nameserver(value: str) -> str:
    address, _, port = value.partition(":")
    try:
        ip_address(address)
        known = not port or 0 < int(port) < 65536
    except ValueError:
        known = False
    if not known:
        raise Refusal(f"is no name server: {value!r}", "an IPv4 address such as 10.1.0.2, or 10.1.0.2:5353")
    return value


def networks(value: str) -> str:
    # Loaded for those who set it.
    from assay_sdk.addresses import read_allowed

    for one in value.split(","):
        try:
            read_allowed(one.strip())
        except ValueError:
            raise Refusal(
                f"holds {one.strip()!r}",
                "IP addresses, with a port or without, and networks, such as 10.1.0.7,10.1.0.8:8080,10.2.0.0/16",
            ) from None
    return value


def setting(default: T, read: Callable[[str], Any], help_: str, *, secret: bool = False) -> T:
    return dataclasses.field(default=default, metadata={"read": read, "help": help_, "secret": secret})


@dataclass(frozen=True, repr=False, kw_only=True)
class Settings:
    """How this process is to run; an address left empty stands for the embedded default in `data_dir`."""

    data_dir: Path = setting(  # noqa: RUF009 # made once: where the process started
        Path("data").absolute(), folder, "Folder of the embedded PostgreSQL and Redis and of generated keys"
    )
    database_url: str = setting(
        "", address_of("postgresql"), "PostgreSQL as the application role; empty: the embedded one", secret=True
    )
    migration_database_url: str = setting(
        "", address_of("postgresql"), "The same database as its owner, for `assay migrate`", secret=True
    )
    redis_url: str = setting(
        "", address_of("redis", "rediss", "unix"), "Redis or Valkey, 6.2 or newer; empty: the embedded one", secret=True
    )
    secret_key: str = setting(
        "", long_secret, "Signs sessions and form tokens; empty: made once, kept in the data folder", secret=True
    )
    sealing_keys: str = setting(
        "",
        key_ring,
        "Keys that seal stored credentials, ID:BASE64,…: the first seals, all open; empty: made once, kept likewise",
        secret=True,
    )
    egress_allow: str = setting(
        "", networks, "Addresses, ADDRESS:PORT and networks (10.1.0.0/16), not public, that tenants may have called"
    )
    nameserver: str = setting(
        "", nameserver, "Name server, ADDRESS or ADDRESS:PORT, asked for proofs of domains; empty: the machine's own"
    )
    host: str = setting("127.0.0.1", text, "Address to listen on")
    port: int = setting(8000, whole_number(1, 65535), "Port to listen on; `assay run` takes the next free one")
    public_url: str = setting(
        "", address_of("http", "https"), "Address people and senders use; empty: http://HOST:PORT"
    )
    allowed_hosts: str = setting(
        "", host_names, "Further names, besides that of the public URL, by which browsers may call us"
    )
    hsts_subdomains: bool = setting(
        True, yes_or_no, "Whether browsers that know us by https ask names below ours by https too"
    )
    web_threads: int = setting(8, whole_number(1, 256), "Requests a web process answers at the same time")
    web_processes: int = setting(1, whole_number(1, 64), "Processes that answer requests")
    tenant_events_per_second: int = setting(
        5000, whole_number(0, 10_000_000), "Events a second that a tenant may send in the long run; 0: no limit"
    )
    tenant_burst_seconds: int = setting(
        10, whole_number(2, 3600), "Seconds' worth of that which may come at once, after a pause"
    )
    visitor_events_per_second: int = setting(
        50, whole_number(0, 100_000), "Events a second from one address with a public key; 0: no limit"
    )
    tenant_backlog: int = setting(
        200_000, whole_number(0, 100_000_000), "Messages of one tenant that may wait to be understood; 0: no limit"
    )
    backlog: int = setting(
        1_000_000, whole_number(0, 100_000_000), "Messages of all tenants that may wait to be understood; 0: no limit"
    )
    disk_free_mb: int = setting(
        1024, whole_number(0, 100_000_000), "Least room on the embedded database's disk to accept anything; 0: no limit"
    )
    database_max_gb: int = setting(
        0, whole_number(0, 10_000_000), "Size of the database from which nothing more is accepted; 0: no limit"
    )
    people_per_value: int = setting(
        10, whole_number(2, 1_000), "Others of one kind that an address or id may come with and still join people"
    )
    people_per_device: int = setting(
        5, whole_number(1, 1_000), "Users of a device that it may have and still belong to the first of them"
    )
    smtp_url: str = setting(
        "",
        address_of("smtps", "starttls", "smtp"),
        "Mail server, such as starttls://USER:PASSWORD@HOST:587; empty: mail is not sent",
        secret=True,
    )
    mail_from: str = setting("", text, "Whom our mails are from, such as Assay <assay@example.com>")
    plans_file: str = setting("", text, "YAML file of the plans that are offered; empty: our own few (docs/plans.md)")
    sign_up_plan: str = setting("unlimited", text, "Plan of those who sign up, such as trial")
    trusted_proxies: int = setting(0, whole_number(0, 8), "Reverse proxies in front whose X-Forwarded-* is believed")
    oauth_registration: str = setting(
        "off", word_of("off", "token", "open"), "Apps that register by protocol: off, with a company's token, or open"
    )
    log_level: str = setting("INFO", one_of("DEBUG", "INFO", "WARNING", "ERROR"), "Least severity that is logged")
    demo: bool = setting(True, yes_or_no, "Whether `assay run` makes a demonstration tenant and sends its traffic")
    demo_events_per_minute: int = setting(8, whole_number(1, 6000), "Pace of the demonstration's traffic")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Reads `ASSAY_*`, an empty value as none; raises BadSetting at the first one that can't be used."""
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            value = environ.get(PREFIX + field.name.upper(), "")
            if not value:
                continue
            try:
                values[field.name] = field.metadata["read"](value)
            except Refusal as refusal:
                raise BadSetting(field.name, refusal.wrong, refusal.accepted) from None
        return cls(**values)

    def as_environ(self) -> dict[str, str]:
        """The environment that gives a child process these settings."""
        return {
            PREFIX + field.name.upper(): shown(value)
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) != field.default
        }

    @property
    def embedded_database(self) -> bool:
        return not self.database_url

    @property
    def embedded_redis(self) -> bool:
        return not self.redis_url

    @property
    def address(self) -> str:
        """Where people and senders reach us, without a final slash."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.public_url or f"http://{host}:{self.port}").rstrip("/")

    def rows(self) -> list[Row]:
        """Each setting as a person may see it: secrets masked."""
        return [self._row(field) for field in dataclasses.fields(self)]

    def _row(self, field: "dataclasses.Field[Any]") -> Row:
        value = getattr(self, field.name)
        if field.name.endswith("_url"):
            visible = masked_address(value)
        else:
            visible = MASK if field.metadata["secret"] and value else shown(value)
        variable = PREFIX + field.name.upper()
        return Row(variable, shown(field.default), field.metadata["help"], visible, value != field.default)

    def __repr__(self) -> str:
        return "Settings(" + ", ".join(f"{row.variable}={row.value}" for row in self.rows()) + ")"


def shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def masked_address(url: str) -> str:
    """The address without its password, which may also stand in its query."""
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        return MASK
    if password is not None:
        user, _, host = parts.netloc.rpartition("@")
        url = parts._replace(netloc=f"{user.partition(':')[0]}:{MASK}@{host}").geturl()
    return re.sub(r"(password=)[^&]*", rf"\1{MASK}", url)


#: What `assay models` reads, as its users' other tools may too.
OF_COMMANDS = frozenset({PREFIX + "URL", PREFIX + "API_KEY"})


def unknown_names(environ: Mapping[str, str]) -> list[str]:
    """Names with our prefix that are no setting: likely misspelt, or another program's. Of plugins' only they know."""
    known = OF_COMMANDS | {PREFIX + field.name.upper() for field in dataclasses.fields(Settings)}
    ours = (name for name in environ if name.startswith(PREFIX) and not name.startswith(PLUGIN_PREFIX))
    return sorted(name for name in ours if name not in known)


def secret_key_in(data_dir: Path) -> str:
    """The data folder's own secret key, made on first use and readable by its owner alone."""
    return _kept_in(data_dir / "secret-key", lambda: secrets.token_urlsafe(SECRET_KEY_BYTES))


def sealing_keys_in(data_dir: Path) -> str:
    """The data folder's own key ring, likewise; without this file, no sealed credential can be opened again."""
    return _kept_in(data_dir / "sealing-keys", lambda: "first:" + secrets.token_urlsafe(SECRET_KEY_BYTES))


def _kept_in(path: Path, make: Callable[[], str]) -> str:
    """What the file holds. It appears whole or not at all: a second process must not read the first one's half."""
    if not path.exists():
        mine = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
        # Created with its mode: a chmod afterwards would leave a moment in which others can read it.
        with open(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123 # a descriptor is no path
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(mine, path)
        except FileExistsError:
            pass
        finally:
            mine.unlink()
    return path.read_text().strip()
