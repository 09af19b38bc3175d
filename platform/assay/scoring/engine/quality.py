"""Data quality of what people type into forms: e-mail addresses and made-up names."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files

import polars as pl

from assay import mail

# A one-letter top-level domain does not exist, and neither does one of figures alone.
_ADDRESS = (
    r"^[\p{L}\p{N}!#$%&'*+/=?^_`{|}~-]+(\.[\p{L}\p{N}!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([\p{L}\p{N}]([\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.)+(\p{L}{2,63}|xn--[A-Za-z0-9-]{2,59})$"
)


def is_valid_email(text: pl.Expr) -> pl.Expr:
    bare = text.str.strip_chars()
    local = bare.str.extract(r"^(.*)@", 1).str.len_chars()
    return bare.str.contains(_ADDRESS) & (bare.str.len_chars() <= 254) & (local.fill_null(0) <= 64)


def is_free_email(text: pl.Expr) -> pl.Expr:
    return _domain_listed(text, mail.free_domains())


def is_disposable_email(text: pl.Expr) -> pl.Expr:
    return _domain_listed(text, mail.disposable_domains())


def looks_fake(text: pl.Expr) -> pl.Expr:
    """Keyboard runs, placeholders, one sound repeated, or no letter or figure at all; of an address, its first part."""
    bare = text.str.to_lowercase().str.replace(r"@.*$", "").str.replace_all(r"[^\p{L}\p{N}]", "")
    length = bare.str.len_chars()
    return (
        (length == 0)
        | bare.is_in(_listed("made_up_names.txt"))
        | ((length >= 3) & _repeats(bare, 1))
        | ((length >= 6) & _repeats(bare, 2))
        | ((length >= 9) & _repeats(bare, 3))
    )


def _repeats(text: pl.Expr, period: int) -> pl.Expr:
    """Text that equals itself moved by `period` letters is that many letters over and over."""
    return text.str.head(-period) == text.str.slice(period)


def _domain_listed(text: pl.Expr, domains: frozenset[str]) -> pl.Expr:
    """Whether the domain, or one it lies below, is in the list; null for what is no address."""
    domain = text.str.to_lowercase().str.extract(r"^[^@\s]+@([^@\s]+\.[^@\s.]+)\s*$", 1)
    above = domain.str.extract(r"([^.]+\.[^.]+)$", 1)
    further = domain.str.extract(r"([^.]+\.[^.]+\.[^.]+)$", 1)
    return domain.is_in(domains) | above.is_in(domains) | further.is_in(domains).fill_null(value=False)


@cache
def _listed(name: str) -> list[str]:
    text = (files("assay.scoring.engine") / name).read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


CHECKS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "is_valid_email": is_valid_email,
    "is_free_email": is_free_email,
    "is_disposable_email": is_disposable_email,
    "looks_fake": looks_fake,
}
