"""The vocabulary, and what to say of a word that is not in it."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

# Looking for the nearest of very many names, once a rule, takes minutes.
_MOST_NAMES = 30


def listed(words: Iterable[str], joint: str = "or") -> str:
    """`a, b or c`."""
    every = list(words)
    return every[0] if len(every) == 1 else f"{', '.join(every[:-1])} {joint} {every[-1]}"


def unknown_word(word: str, known: Collection[str]) -> str:
    """The sentence for a word out of place: misspelt, or unknown."""
    accepted = f"accepted here: {', '.join(known)}"
    near = get_close_matches(word.lower(), known, n=1, cutoff=0.65)
    if near:
        return f"unknown word {word!r}; did you mean {near[0]!r}? ({accepted})"
    return f"unknown word {word!r}; {accepted}"


def unknown_name(kind: str, name: str, declared: Collection[str]) -> str:
    """The sentence for a reference to something the model does not declare."""
    if not declared:
        return f"the {kind} {name!r} is not declared; the model declares none"
    if len(declared) > _MOST_NAMES:
        return f"the {kind} {name!r} is not declared; the model declares {len(declared):,} others"
    near = get_close_matches(name, declared, n=1, cutoff=0.65)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"the {kind} {name!r} is not declared; {hint}declared: {', '.join(declared)}"
