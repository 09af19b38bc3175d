"""Opens and clicks that a machine did, not the person: scanners, prefetchers, crawlers. Pure.

Whether one is a machine's depends on the lead's other events: when the mail was delivered, what else was clicked. So
it is worked out of the whole set of them, whenever they are read, and never stored: the order they came in plays no
part, and what was known at an instant is judged by what was known at it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from assay.profiles.quoting import literal

OPENED, CLICKED, DELIVERED, SENT = "email.opened", "email.clicked", "email.delivered", "email.sent"
#: What may be a machine's, and what is looked at beside to tell.
JUDGED = frozenset((OPENED, CLICKED))
BESIDE = frozenset((DELIVERED, SENT))
LOOKED_AT = JUDGED | BESIDE

#: Names that senders give a mail, the narrowest first; of two that an event has, the first tells which mail it is of.
MAIL_NAMES = (
    *("message_id", "messageId", "smtp_id", "smtp-id", "smtpId", "sg_message_id", "delivery_id", "deliveryId"),
    *("sentBy.id", "sendId", "email_id", "emailId", "mail_id", "content_stat.id", "content_id", "contentId"),
    *("emailCampaignId", "email_campaign_id", "campaign_id", "campaignId"),
)
LINK_NAMES = ("link_url", "linkUrl", "url", "link", "href", "target_url", "link_id", "linkId")
AGENT_NAMES = ("user_agent", "userAgent", "useragent", "client.user_agent", "client-info.user-agent", "ua")
#: What senders say themselves; Mailgun names the machine instead of saying yes.
SAID_NAMES = (
    *("is_bot", "isBot", "bot", "filteredEvent", "filtered_event", "sg_machine_open", "machine_open", "machineOpen"),
    *("is_machine", "isMachine", "machine", "prefetched", "is_prefetch", "client-info.bot", "client.bot"),
)
#: All that a machine is told by.
TOLD_BY = frozenset((*MAIL_NAMES, *LINK_NAMES, *AGENT_NAMES, *SAID_NAMES))
_FIELDS = {"mail": MAIL_NAMES, "link": LINK_NAMES, "agent": AGENT_NAMES, "said": SAID_NAMES}

#: A person needs longer from the mail's arrival to the first look at it; gateways look at it as it passes.
AT_ONCE = 5_000_000
#: So many different links within so short a time are clicked by who clicks them all.
MOST_LINKS, BURST = 3, 2_000_000

#: The column that says why an event counts nothing: a code, with a detail after a colon; null where it counts.
DISCOUNTED = "discounted"


@dataclass(frozen=True)
class Signal:
    """A sign of a machine that a tenant may switch off."""

    name: str
    title: str
    about: str


SIGNALS = (
    Signal(
        "sender_says",
        "The sender says so",
        "The event carries a mark such as is_bot, filteredEvent or sg_machine_open that says yes.",
    ),
    Signal(
        "scanners",
        "Scanners and programs",
        "The program that fetched it calls itself a mail scanner, a crawler, a preview or a script.",
    ),
    Signal(
        "apple_privacy",
        "Apple Mail fetching in advance",
        "Apple Mail fetches every mail, read or not, and calls itself Mozilla/5.0 and nothing else.",
    ),
    Signal(
        "at_once",
        "Faster than a person",
        "Opened or clicked within 5 seconds of being delivered or sent, or before it was delivered.",
    ),
    Signal("all_links", "Every link at once", "Three or more different links of one mail clicked within 2 seconds."),
)
NAMES = frozenset(signal.name for signal in SIGNALS)

# Image proxies of Gmail and Yahoo fetch when the person looks: through them real opens come, so they are no sign.
_PROXIES = r"(?i)GoogleImageProxy|YahooMailProxy"
_NO_BOTS = r"(?i)cubot"
_APPLE = r"^\s*Mozilla/5\.0\s*$"
#: The first that is found names the machine.
_SCANNERS: tuple[tuple[str, str], ...] = (
    ("Barracuda", r"barracuda"),
    ("Mimecast", r"mimecast"),
    ("Proofpoint", r"proofpoint|urldefense"),
    ("Cisco Secure Email", r"ironport|ciscosecureemail|cisco secure"),
    (
        "Microsoft Defender",
        r"safelinks|microsoft office existence discovery|bingpreview|skypeuripreview|exchange online",
    ),
    ("Trend Micro", r"trendmicro|trend micro"),
    ("Sophos", r"sophos"),
    ("Fortinet", r"fortimail|fortinet|fortigate"),
    ("Symantec", r"symantec|messagelabs|blue ?coat"),
    ("Forcepoint", r"forcepoint|websense"),
    ("Trellix", r"fireeye|trellix|mcafee"),
    ("VirusTotal", r"virustotal|urlscan|phishtank|netcraft"),
    ("a browser without a screen", r"headlesschrome|phantomjs|puppeteer|playwright|selenium"),
    (
        "a script",
        r"^(curl|wget|python|java|okhttp|go-http-client|axios|node-fetch|undici|libwww-perl|ruby|php|guzzlehttp|httpx?|"
        r"aiohttp|apache-httpclient|dart)[/: -]|python-requests|python-urllib",
    ),
    ("a crawler", r"crawl|spider|slurp|scanner|linkcheck|link-check|facebookexternalhit|whatsapp/|prefetch"),
    ("a bot", r"bot\b|bot[_/;)]"),
)

_NO = ("", "false", "0", "no", "n", "f", "none", "null", "unknown", "human")
_YES = r"^(1|[a-z].*)$"
# Between fields, and between all that a sender says; of what a sender writes they are taken away first.
_BETWEEN, _AND = "\x1f", "\x1e"
_NOTHING = "''"


def asked(types: Collection[str] | None) -> frozenset[str] | None:
    """The types to read where these are wanted; the same ones where none of them may be a machine's."""
    if types is None:
        return None
    wanted = frozenset(types)
    return wanted | BESIDE if wanted & JUDGED else wanted


def is_asked(types: Collection[str] | None) -> bool:
    return types is None or not JUDGED.isdisjoint(types)


def told_sql(hidden: Collection[str] = ()) -> str:
    """What tells a machine from a person, as one text, in SQL over events named ``e``; some names may be left out."""
    parts = []
    for field, names in _FIELDS.items():
        values = [f"NULLIF(btrim(e.properties ->> {literal(name)}), '')" for name in names if name not in hidden]
        together = "concat_ws(chr(30), {})" if field == "said" else "COALESCE({})"
        parts.append(f"translate({together.format(', '.join([*values, _NOTHING]))}, chr(31), '')")
    return " || chr(31) || ".join(parts)


def told(properties: Mapping[str, str | None]) -> str:
    """The same, of properties as texts."""
    parts = []
    for field, names in _FIELDS.items():
        values = [text for name in names if (text := (properties.get(name) or "").strip(" "))]
        found = _AND.join([*values, ""]) if field == "said" else (values or [""])[0]
        parts.append(found.replace(_BETWEEN, ""))
    return _BETWEEN.join(parts)


def discounted(events: pl.DataFrame, told_by: pl.Series, off: Collection[str] = ()) -> pl.Series:
    """Why each event counts nothing; null where it counts, which is so of all types but opens and clicks.

    ``events`` has lead_id, type and occurred_at, with all mails' events of each lead among them; ``told_by`` is what
    ``told_sql`` gives for each. ``off`` names the signals that are not looked for.
    """
    nothing = pl.Series(DISCOUNTED, [None], dtype=pl.String).new_from_index(0, events.height)
    if set(off) >= NAMES or not events["type"].is_in(list(JUDGED)).any():
        return nothing
    mails = (
        events.select("lead_id", "type", pl.col("occurred_at").to_physical().alias("t"), told_by.alias("told"))
        .with_row_index("place")
        .filter(pl.col("type").is_in(list(LOOKED_AT)))
        .with_columns(
            pl.col("told").str.split_exact(_BETWEEN, len(_FIELDS) - 1).struct.rename_fields(list(_FIELDS)).alias("told")
        )
        .unnest("told")
        .with_columns(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in _FIELDS)
    )
    mails = mails.with_columns(_scanners(mails), _said(mails), _arrivals(mails), _bursts(mails))
    reasons = {
        "sender_says": pl.when("said").then(pl.lit("sender")),
        "scanners": pl.when(pl.col("scanner").is_not_null()).then("scanner:" + pl.col("scanner")),
        "apple_privacy": pl.when(pl.col("agent").str.contains(_APPLE)).then(pl.lit("apple")),
        "at_once": pl.col("hurried"),
        "all_links": pl.when(pl.col("links") >= MOST_LINKS).then("links:" + pl.col("links").cast(pl.String)),
    }
    looked_for = [reason for name, reason in reasons.items() if name not in off]
    found = mails.filter(pl.col("type").is_in(list(JUDGED))).select("place", pl.coalesce(looked_for).alias("why"))
    return nothing.scatter(found["place"], found["why"])


def _said(mails: pl.DataFrame) -> pl.Series:
    """Whether the sender says so: of several marks one says yes; whoever names the machine says yes too."""
    word = pl.element().str.to_lowercase()
    marks = pl.col("said").str.split(_AND)
    return _of_each(mails["said"], marks.list.eval(word.str.contains(_YES) & ~word.is_in(_NO)).list.any())


def _scanners(mails: pl.DataFrame) -> pl.Series:
    agent = pl.col("agent").str.replace_all(_NO_BOTS, "")
    named = pl.coalesce(pl.when(agent.str.contains(f"(?i){pattern}")).then(pl.lit(name)) for name, pattern in _SCANNERS)
    told = pl.when(~agent.str.contains(_PROXIES)).then(named)
    return _of_each(mails["agent"], told).alias("scanner")


def _of_each(texts: pl.Series, answer: pl.Expr) -> pl.Series:
    """The answer for each text, worked out once for those that are the same: few programs fetch all mails."""
    name = texts.name
    different = texts.unique().drop_nulls().to_frame().with_columns(answer.alias("answer"))
    return texts.to_frame().join(different, on=name, how="left", maintain_order="left")["answer"].alias(name)


def _arrivals(mails: pl.DataFrame) -> pl.Series:
    """How soon after the mail came each was: `delivered:2`, `sent:0` (in whole seconds), or `early`."""
    key = ["lead_id", "mail"]
    known = mails.filter(pl.col("mail").is_not_null()).sort("t")
    rows = known.filter(pl.col("type").is_in(list(JUDGED))).select("place", *key, "t")
    for name, type_ in (("delivered", DELIVERED), ("sent", SENT)):
        came = known.filter(pl.col("type") == type_).select(*key, "t", pl.col("t").alias(name))
        rows = rows.join_asof(came, on="t", by=key, strategy="backward", check_sortedness=False)
    later = known.filter(pl.col("type") == DELIVERED).select(*key, "t", pl.col("t").alias("coming"))
    rows = rows.join_asof(later, on="t", by=key, strategy="forward", check_sortedness=False)
    t = pl.col("t")

    def soon(name: str) -> pl.Expr:
        since = t - pl.col(name)
        return pl.when(since <= AT_ONCE).then(pl.lit(f"{name}:") + (since // 1_000_000).cast(pl.String))

    early = pl.when(pl.col("delivered").is_null() & (pl.col("coming") - t <= AT_ONCE)).then(pl.lit("early"))
    found = rows.select("place", pl.coalesce(soon("delivered"), early, soon("sent")).alias("hurried"))
    return mails.select("place").join(found, on="place", how="left", maintain_order="left")["hurried"]


def _bursts(mails: pl.DataFrame) -> pl.Series:
    """Of each click, how many different links of its mail were clicked in the fullest short time that it lies in."""
    key = ["lead_id", "mail"]
    clicks = mails.filter(
        (pl.col("type") == CLICKED) & pl.col("mail").is_not_null() & pl.col("link").is_not_null()
    ).sort(*key, "t")
    if clicks.height < MOST_LINKS:
        return pl.Series("links", [None], dtype=pl.UInt32).new_from_index(0, mails.height)
    period = f"{BURST}i"
    # What a window holds depends on its instant alone, so rows of one instant may stand in any order.
    starts = (
        clicks.rolling("t", period=period, offset="0i", closed="both", group_by=key)
        .agg(pl.col("link").n_unique().alias("from_here"))
        .sort(*key, "t")
    )
    around = (
        starts.rolling("t", period=period, closed="both", group_by=key)
        .agg(pl.col("from_here").max().alias("links"))
        .sort(*key, "t")
    )
    found = clicks.select("place").with_columns(around["links"].cast(pl.UInt32))
    return mails.select("place").join(found, on="place", how="left", maintain_order="left")["links"]
