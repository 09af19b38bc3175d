"""The computed traits: what can be told of a lead's e-mail address, name and company by looking at them.

Precision before recall: a stranger's real name called made up costs more than a made-up one that passes.
"""

from collections.abc import Callable, Collection, Mapping
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
_NOTHING = r"^(n\s?[/.\\-]\s?a\.?|n\s?[/\\]\s?d)$"
_VOWELS = "aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýÿāăąēėęěīįıōőœūůűų"
# One consonant of ours is an initial. O, U and Y are surnames, and one Chinese sign may be.
_INITIAL = r"^[b-df-hj-np-tv-xz]\.?$"
_LEGAL_FORMS = (
    r"[\s,.-]+(inc|llc|ltd|limited|corp|corporation|co|company|gmbh|ag|sa|sas|sarl|srl|s\.r\.l|spa|bv|oy|ab|jsc|plc|kft|"
    r"pte|pvt|tnhh|co\.?,? ?ltd)\.?$"
)


def with_qualities(leads: pl.DataFrame, names: Collection[str]) -> pl.DataFrame:
    """With a column for each of these computed traits: `true`, `false`, or null where there is nothing to judge.

    In steps, each column worked out once: in one expression Polars would work them out wherever they are named.
    """
    if not names:
        return leads
    judged = {name: _JUDGES[name](leads).cast(pl.String).alias(f"trait:{name}") for name in names}
    return leads.with_columns(judged.values())


def of_traits(traits: Mapping[str, Any]) -> dict[str, bool]:
    """Of one lead, those that there is something to judge by."""
    sources = {source for computed in COMPUTED.values() for source in computed.sources}
    lead = pl.DataFrame({f"trait:{name}": pl.Series([as_text(traits.get(name))], dtype=pl.String) for name in sources})
    row = with_qualities(lead, COMPUTED).row(0, named=True)
    judged = {name: row[f"trait:{name}"] for name in COMPUTED}
    return {name: text == "true" for name, text in judged.items() if text is not None}


def _first(leads: pl.DataFrame, names: Collection[str]) -> pl.Series:
    """The first that is known, its spaces single; a list names nobody."""
    known = [f"trait:{name}" for name in names if leads[f"trait:{name}"].null_count() < leads.height]
    if not known:
        return pl.Series("text", [None], dtype=pl.String).new_from_index(0, leads.height)
    stated = pl.coalesce(pl.when(~pl.col(name).str.contains(r"^\s*(\[|$)")).then(pl.col(name)) for name in known)
    return leads.select(stated.str.strip_chars().str.replace_all(r"\s+", " ").alias("text")).to_series()


def _address(check: Callable[[pl.Expr], pl.Expr]) -> Callable[[pl.DataFrame], pl.Series]:
    return lambda leads: pl.DataFrame(_first(leads, ("email",))).select(check(pl.col("text"))).to_series()


def _is_role_address(text: pl.Expr) -> pl.Expr:
    local = text.str.to_lowercase().str.extract(r"^([^@+\s]+)(?:\+[^@\s]*)?@[^@\s]+\.[^@\s.]+$", 1)
    return local.is_in(sorted(ROLE_ADDRESSES))


def _is_fake_name(leads: pl.DataFrame) -> pl.Series:
    parts = pl.DataFrame([_first(leads, FIRST_NAMES).alias("first"), _first(leads, LAST_NAMES).alias("last")])
    whole = parts.select(pl.concat_str(["first", "last"], separator=" ", ignore_nulls=True).alias("whole")).to_series()
    name = pl.coalesce("name", pl.when(pl.col("whole") != "").then("whole")).str.to_lowercase()
    frame = pl.DataFrame([_first(leads, NAMES).alias("name"), whole, _first(leads, ("email",)).alias("email")])
    frame = frame.select(name.alias("name"), pl.col("email").str.to_lowercase())
    frame = frame.with_columns(_bare(pl.col("name")).alias("bare"))
    made_up = (
        pl.col("name").str.contains(_NOTHING)
        | pl.col("name").str.contains(_INITIAL)
        | pl.col("bare").str.contains(r"^\p{N}*$")
        | pl.col("bare").is_in(_listed("fake_names.txt"))
        | pl.col("bare").is_in(_walks())
    )
    # An address where a name belongs is its sender's doing; lead lists show it, and it is nobody's joke.
    is_address = pl.col("name").str.contains("@", literal=True)
    frame = frame.with_columns((~is_address & made_up).alias("made_up"))
    return frame["made_up"] | _is_over_and_over(frame["name"]) | _is_junk_of_address(frame)


def _is_over_and_over(names: pl.Series) -> pl.Series:
    """One letter three times, or a few of them three times over: Nana, Lili and Fangfang are people."""
    letters = names.str.len_chars()
    again = pl.any_horizontal(
        (pl.col("letters") >= least) & (pl.col("text").str.head(-period) == pl.col("text").str.slice(period))
        for period, least in ((1, 3), (2, 6), (3, 9), (4, 12))
    )
    return _where(names, (letters >= 3) & ~names.str.contains(r"[ @]"), again)


def _is_junk_of_address(frame: pl.DataFrame) -> pl.Series:
    """The address's first part over again, and that is no word: figures among its letters, or no vowel in five."""
    local = frame.select(_bare(pl.col("email").str.extract(r"^([^@+]+)", 1))).to_series()
    text = pl.col("text")
    junk = (
        text.str.contains(r"^\p{L}+\p{N}+\p{L}+\p{N}")
        | text.str.contains(r"^\p{N}+\p{L}+\p{N}+\p{L}")
        | (text.str.contains(r"^[a-z]{5,}$") & ~text.str.contains(f"[{_VOWELS}]"))
    )
    return _where(frame["bare"], frame["bare"] == local, junk)


def _is_fake_company(leads: pl.DataFrame) -> pl.Series:
    company = _first(leads, COMPANY_NAMES).str.to_lowercase()
    frame = pl.DataFrame(company).select(
        pl.col("text").alias("company"),
        _bare(pl.col("text")).alias("whole"),
        _bare(pl.col("text").str.replace(_LEGAL_FORMS, "")).alias("bare"),
    )
    made_up = (
        pl.col("company").str.contains(_NOTHING)
        | (pl.col("whole") == "")
        | pl.col("whole").is_in(_listed("fake_companies.txt"))
        | pl.col("bare").is_in(_listed("fake_companies.txt"))
        | pl.col("bare").is_in(_walks())
    )
    text, letters = pl.col("text"), pl.col("letters")
    again = (text.str.head(-1) == text.str.slice(1)) | pl.any_horizontal(
        (letters >= least) & (text.str.head(-period) == text.str.slice(period)) & asked
        for period, least, asked in (
            (2, 6, ~text.str.contains(f"[{_VOWELS}]")),
            (3, 9, pl.lit(value=True)),
        )
    )
    one_word = (frame["bare"].str.len_chars() >= 4) & ~frame["company"].str.contains(" ", literal=True)
    return frame.select(made_up.alias("made_up")).to_series() | _where(frame["bare"], one_word, again)


def _where(texts: pl.Series, asked: pl.Series, answer: pl.Expr) -> pl.Series:
    """The answer over `text` and its `letters` where it is asked for, else false; null for what is not known."""
    rows = asked.fill_null(value=False).arg_true()
    some = texts.gather(rows).alias("text")
    found = pl.DataFrame([some, some.str.len_chars().alias("letters")]).select(answer.alias("found")).to_series()
    answers = pl.Series([False]).new_from_index(0, len(texts)).scatter(rows, found)
    return pl.select(pl.when(pl.lit(texts).is_not_null()).then(pl.lit(answers))).to_series()


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


_JUDGES: Mapping[str, Callable[[pl.DataFrame], pl.Series]] = {
    "quality.valid_email": _address(quality.is_valid_email),
    "quality.free_email": _address(quality.is_free_email),
    "quality.disposable_email": _address(quality.is_disposable_email),
    "quality.role_email": _address(_is_role_address),
    "quality.fake_name": _is_fake_name,
    "quality.fake_company": _is_fake_company,
}
