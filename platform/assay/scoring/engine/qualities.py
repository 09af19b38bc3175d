"""The computed traits: what can be told of a lead's e-mail address, name and company by looking at them.

Precision before recall: a stranger's real name called made up costs more than a made-up one that passes.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import polars as pl

from assay.profiles.matching import ROLE_ADDRESSES
from assay.profiles.naming import COMPANY_NAMES, FIRST_NAMES, LAST_NAMES, NAMES
from assay.scoring.engine import quality
from assay.scoring.language import COMPUTED
from assay_sdk.flatten import as_text

_ROWS = ("qwertyuiop", "qwertzuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm")
_SHORTEST_WALK = 4
# Keys in a row that people are called by.
_NAMES_AMONG_WALKS = ("wert", "wertz", "ertz", "trew")
#: What stands for nothing, spelt with its signs: Na is a name, and NA a firm.
_NOTHING = r"^(n\s?[/.\\-]\s?a\.?|nil|n\s?[/\\]\s?d)$"
_VOWELS = "aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýÿāăąēėęěīįıōőœūůűų"
# One consonant of ours is an initial. O, U and Y are surnames, and one Chinese sign may be.
_INITIAL = r"^[b-df-hj-np-tv-xz]\.?$"
_LEGAL_FORMS = (
    r"[\s,.-]+(inc|llc|ltd|limited|corp|corporation|co|company|gmbh|ag|sa|sas|sarl|srl|s\.r\.l|spa|bv|oy|ab|jsc|plc|kft|"
    r"pte|pvt|tnhh|co\.?,? ?ltd)\.?$"
)


def qualities(names: Iterable[str]) -> list[pl.Expr]:
    """A column for each of these computed traits: `true`, `false`, or null where there is nothing to judge."""
    return [
        pl.when(_TELLS[name]()).then(pl.lit("true")).when(~_TELLS[name]()).then(pl.lit("false")).alias(f"trait:{name}")
        for name in names
    ]


def of_traits(traits: Mapping[str, Any]) -> dict[str, bool]:
    """Of one lead, those that there is something to judge by."""
    sources = {source for computed in COMPUTED.values() for source in computed.sources}
    texts = pl.DataFrame({f"trait:{name}": pl.Series([as_text(traits.get(name))], dtype=pl.String) for name in sources})
    row = texts.select(qualities(COMPUTED)).row(0, named=True)
    return {name.removeprefix("trait:"): text == "true" for name, text in row.items() if text is not None}


def _first(names: Collection[str]) -> pl.Expr:
    """The first that is known, its spaces single; a list names nobody."""
    texts = (pl.col(f"trait:{name}").str.replace_all(r"\s+", " ").str.strip_chars(" ") for name in names)
    return pl.coalesce(pl.when((text != "") & ~text.str.starts_with("[")).then(text) for text in texts)


def _address() -> pl.Expr:
    return _first(("email",))


def _name() -> pl.Expr:
    first, last = _first(FIRST_NAMES), _first(LAST_NAMES)
    parts = pl.concat_str([first, last], separator=" ", ignore_nulls=True)
    return pl.coalesce(_first(NAMES), pl.when(parts != "").then(parts))


def _is_role_address() -> pl.Expr:
    local = _address().str.to_lowercase().str.extract(r"^([^@\s]+)@[^@\s]+\.[^@\s.]+$", 1)
    return local.str.replace(r"\+.*$", "").is_in(sorted(ROLE_ADDRESSES))


def _is_fake_name() -> pl.Expr:
    name = _name().str.to_lowercase()
    bare = _bare(name)
    # An address where a name belongs is its sender's doing; lead lists show it, and it is nobody's joke.
    is_address = name.str.contains("@", literal=True)
    made_up = (
        name.str.contains(_NOTHING)
        | (bare == "")
        | bare.is_in(_listed("fake_names.txt"))
        | bare.is_in(_walks())
        | bare.str.contains(r"^\p{N}+$")
        | name.str.contains(_INITIAL)
        | _is_over_and_over(name)
        | _is_junk_of_address(bare)
    )
    return ~is_address & made_up


def _is_over_and_over(name: pl.Expr) -> pl.Expr:
    """One letter three times, or a few of them three times over: Nana, Lili and Fangfang are people."""
    length, one_word = name.str.len_chars(), ~name.str.contains(" ", literal=True)
    again = [
        (length >= least) & (name.str.head(-period) == name.str.slice(period))
        for period, least in ((1, 3), (2, 6), (3, 9), (4, 12))
    ]
    return one_word & pl.any_horizontal(again)


def _is_junk_of_address(bare: pl.Expr) -> pl.Expr:
    """The address's first part over again, and that is no word: figures among its letters, or no vowel in five."""
    local = _bare(_address().str.to_lowercase().str.extract(r"^([^@]+)@", 1).str.replace(r"\+.*$", ""))
    mixed = local.str.contains(r"^\p{L}+\p{N}+\p{L}+\p{N}") | local.str.contains(r"^\p{N}+\p{L}+\p{N}+\p{L}")
    unspoken = local.str.contains(r"^[a-z]{5,}$") & ~local.str.contains(f"[{_VOWELS}]")
    return (bare == local).fill_null(value=False) & (mixed | unspoken).fill_null(value=False)


def _is_fake_company() -> pl.Expr:
    company = _first(COMPANY_NAMES).str.to_lowercase()
    whole = _bare(company)
    bare = _bare(company.str.replace(_LEGAL_FORMS, ""))
    spoken = bare.str.contains(f"[{_VOWELS}]")
    length, one_word = bare.str.len_chars(), ~company.str.contains(" ", literal=True)
    again = (
        (length >= 4) & (bare.str.head(-1) == bare.str.slice(1))
        | one_word & ~spoken & (length >= 6) & (bare.str.head(-2) == bare.str.slice(2))
        | one_word & (length >= 9) & (bare.str.head(-3) == bare.str.slice(3))
    )
    return (
        company.str.contains(_NOTHING)
        | (whole == "")
        | whole.is_in(_listed("fake_companies.txt"))
        | bare.is_in(_listed("fake_companies.txt"))
        | bare.is_in(_walks())
        | again
    )


def _bare(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all(r"[^\p{L}\p{M}\p{N}]", "")


@cache
def _walks() -> list[str]:
    """Neighbouring keys, there or back."""
    found = {
        row[begin:end]
        for line in _ROWS
        for row in (line, line[::-1])
        for begin in range(len(row))
        for end in range(begin + _SHORTEST_WALK, len(row) + 1)
    }
    return sorted(found - set(_NAMES_AMONG_WALKS))


@cache
def _listed(name: str) -> list[str]:
    text = (files("assay.scoring.engine") / name).read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


_TELLS = {
    "quality.valid_email": lambda: quality.is_valid_email(_address()),
    "quality.free_email": lambda: quality.is_free_email(_address()),
    "quality.disposable_email": lambda: quality.is_disposable_email(_address()),
    "quality.role_email": _is_role_address,
    "quality.fake_name": _is_fake_name,
    "quality.fake_company": _is_fake_company,
}
