"""The title in what stands before everything else in the name of a release. No I/O."""

import re

_ALSO = re.compile(r" / | \| |(?<!\w)a\.?k\.?a\.?(?!\w)|\s[/|]|[/|]\s", re.IGNORECASE)
_CAST = re.compile(r"(?<=\S)\s*\([^()]*/[^()]*\)")
"""Who made it, in both scripts."""
_BRACKETED_END = re.compile(r"^(.*\w.*?)\s*[(\[]([^()\[\]]*[^\W\d_][^()\[\]]*)[)\]]$")
_INITIALS = re.compile(r"(?:(?<=^)|(?<=[\s.]))(?:[^\W\d_]\.){2,}(?=[\s.\d]|$|[^\W\d_](?:\.|$))")
_ENDS_IN_INITIALS = re.compile(r"(?:^|\s)(?:[^\W\d_]\.){2,}[^\W\d_]$")
_ALL_IN_BRACKETS = re.compile(r"\[[^\[\]]+\]")
_TRIM_LEFT = " .,:;-\u2013\u2014/\\|)]}>=~"
_TRIM_RIGHT = " .,:;-\u2013\u2014/\\|([{<=~"
_LATIN = re.compile(r"[A-Za-z]")
_OTHER_SCRIPT = re.compile(
    r"[\u0370-\u03ff\u0400-\u04ff\u0590-\u05ff\u0600-\u06ff\u0900-\u0d7f\u0e00-\u0e7f"
    r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)
_SCRIPTS_APART = re.compile(rf"^({_OTHER_SCRIPT.pattern}[^A-Za-z]*)[\s.:\-]([A-Za-z].*)$")
_LATIN_FIRST = re.compile(rf"^([A-Za-z][^\u0370-\uffff]*)[\s.:\-]({_OTHER_SCRIPT.pattern}.*)$")


def find_titles(head: str) -> list[str]:
    """Return the titles in the beginning of a name, the one to be called by first.

    That is the one in Latin letters, if there are several: the original, or the one in English,
    by which others know it.
    """
    titles: list[str] = []
    for part in _ALSO.split(_CAST.sub(" ", head)):
        for title in _in_scripts(_spaced(part)):
            if title and title not in titles:
                titles.append(title)
    titles.sort(key=lambda title: _OTHER_SCRIPT.search(title) is not None)  # keeps the order else
    return titles


def _in_scripts(title: str) -> list[str]:
    """Take apart what is written twice, in two scripts, or once more in brackets."""
    if match := _BRACKETED_END.match(title):
        return [*_in_scripts(_trimmed(match[1])), _trimmed(match[2])]
    for pattern in (_SCRIPTS_APART, _LATIN_FIRST):
        if match := pattern.match(title):
            return [_spaced(match[1]), _spaced(match[2])]
    return [_trimmed(title)]


def _spaced(text: str) -> str:
    """Put blanks where others put dots, except in initials, numbers and after abbreviations."""
    text = text.strip()
    if " " in text.strip(" ."):
        # Who writes blanks means the dots; but "Agents.of.Somebody Else" has both.
        words = text.split(" ")
        if text.count(".") <= len(words):
            return _trimmed(" ".join(text.split()))
    text = _INITIALS.sub(lambda match: match[0].replace(".", "\0") + " ", text)
    text = text.replace(".", " ").replace("\0", ".")
    return _trimmed(" ".join(text.split()))


def _trimmed(text: str) -> str:
    text = text.strip().lstrip(_TRIM_LEFT).rstrip(_TRIM_RIGHT).strip()
    for opening, closing in ("()", "[]", "{}"):
        if text.count(opening) != text.count(closing):
            text = text.replace(opening, " ").replace(closing, " ")
    if _ALL_IN_BRACKETS.fullmatch(text):
        text = text[1:-1]
    text = " ".join(text.split())
    return f"{text}." if _ENDS_IN_INITIALS.search(text) else text
