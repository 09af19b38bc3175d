"""Domains of mail providers, which tell nothing of where somebody works. Plain sets: every process may hold them."""

from functools import cache
from importlib.resources import files


@cache
def free_domains() -> frozenset[str]:
    """Of mailboxes anybody can open for nothing."""
    return _listed("free.txt")


@cache
def disposable_domains() -> frozenset[str]:
    """Of mailboxes thrown away after one message."""
    return _listed("disposable.txt")


def is_free(domain: str) -> bool:
    """Whether a domain in lower case, or one that it lies below, is a free provider's."""
    return _is_below(domain, free_domains())


def is_disposable(domain: str) -> bool:
    return _is_below(domain, disposable_domains())


def _is_below(domain: str, listed: frozenset[str]) -> bool:
    while domain:
        if domain in listed:
            return True
        domain = domain.partition(".")[2]
    return False


def _listed(name: str) -> frozenset[str]:
    lines = (files("assay.mail") / name).read_text("utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))
