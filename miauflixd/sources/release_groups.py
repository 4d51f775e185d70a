"""Who made a release, as its name says. No I/O."""

import re

_CHECKSUM = re.compile(r"\s*[\[(][0-9A-Fa-f]{8}[\])]$")
_CARRIERS = re.compile(
    r"(?:[\s.]*[\[({]\s*(?:TGx|TorrentGalaxy|rartv|rarbg|eztv\S*|ettv|et(?:hd|rg)|prime|1337x|glodls|utr|"
    r"no[ .-]rar|rar|n1c|i c|xpost|thebiscuitman)\s*[\])}]"
    r"|[\s.](?:EZTV(?:x?[ .]\w\w)?|TGx|rartv|ettv)|-(?:sample|xpost|postbot|obfuscated|rakuv\w*))$",
    re.IGNORECASE,
)
"""Who only carried it further."""

_CHANNELS = re.compile(
    r"^[\s.\[(+-]*[1-9][ .-][0-4](?:\.[24])?(?:ch)?(?![^\W_])[\])]?", re.IGNORECASE
)
_WHOLE = re.compile(r"(?:\s?-\s?|\s(?=\S+-))([^\s\[\](){}]+)\W{0,2}")
"""`-D-Z0N3`, ` KINGDOM-RG`."""
_BEHIND_HYPHEN = re.compile(r"-\s?([^\s\-\[\](){}]+(?: [^\s\-\[\](){}]+){0,2})\W{0,2}$")
_IN_BRACKETS = re.compile(r"[\[({]([^\[\](){}]{2,40})[\])}]$")
_EDGES = " .,:;|+~-\u2013\u2014()[]{}"
_CUT_OFF = frozenset({"h", "he", "hev", "x", "x2", "x26", "dd", "we"})
"""What is left of words where somebody cut the name."""

_WORDS = 3
"""Of a name that is set apart by nothing; more is something else."""


def find_group(text: str, *, floor: int, described: bool, leading: str | None) -> str | None:
    """Return who made it, if somebody is named.

    Args:
        text: the name.
        floor: where everything else has been said.
        described: whether anything was said about the release, or only what it is.
        leading: who is named in front.
    """
    if leading:
        return leading
    text = text.rstrip()
    for _ in range(3):  # a checksum, and who carried it, and where to
        shorter = _CARRIERS.sub("", _CHECKSUM.sub("", text))
        if shorter == text or len(shorter) < floor:
            break
        text = shorter
    tail = text[floor:]
    while match := _CHANNELS.match(tail):
        tail = tail[match.end() :]
    if match := _WHOLE.fullmatch(tail) or _BEHIND_HYPHEN.search(tail):
        if described or tail.startswith("-"):
            return match[1].strip(_EDGES) or None
        return None
    if not described:
        return None
    before, bracket, _ = tail.strip().partition("[")
    name = before.strip(_EDGES)
    if not name and bracket:
        match = _IN_BRACKETS.search(tail.rstrip())
        name = match[1].strip(_EDGES) if match else ""
    if not name or len(name.split()) > _WORDS or name.lower() in _CUT_OFF:
        return None
    return name if any(char.isalnum() for char in name) else None
