"""Languages as containers write them (ISO 639-2), and as the rest of the house does (BCP 47)."""

_TWO_LETTERS = {
    "alb": "sq", "ara": "ar", "arm": "hy", "aze": "az", "baq": "eu", "bel": "be", "ben": "bn",
    "bos": "bs", "bul": "bg", "bur": "my", "cat": "ca", "ces": "cs", "chi": "zh", "cze": "cs",
    "dan": "da", "deu": "de", "dut": "nl", "ell": "el", "eng": "en", "est": "et", "eus": "eu",
    "fas": "fa", "fil": "fil", "fin": "fi", "fra": "fr", "fre": "fr", "geo": "ka", "ger": "de",
    "gle": "ga", "glg": "gl", "gre": "el", "heb": "he", "hin": "hi", "hrv": "hr", "hun": "hu",
    "hye": "hy", "ice": "is", "ind": "id", "isl": "is", "ita": "it", "jpn": "ja", "kan": "kn",
    "kat": "ka", "kaz": "kk", "khm": "km", "kor": "ko", "lat": "la", "lav": "lv", "lit": "lt",
    "mac": "mk", "mal": "ml", "mao": "mi", "mar": "mr", "may": "ms", "mkd": "mk", "mon": "mn",
    "msa": "ms", "mya": "my", "nld": "nl", "nno": "nn", "nob": "nb", "nor": "no", "per": "fa",
    "pol": "pl", "por": "pt", "ron": "ro", "rum": "ro", "rus": "ru", "slk": "sk", "slo": "sk",
    "slv": "sl", "spa": "es", "sqi": "sq", "srp": "sr", "swe": "sv", "tam": "ta", "tel": "te",
    "tgl": "tl", "tha": "th", "tur": "tr", "ukr": "uk", "urd": "ur", "uzb": "uz", "vie": "vi",
    "wel": "cy", "zho": "zh", "zul": "zu",
}  # fmt: skip
"""Those that have a code of two letters (ISO 639-1), bibliographic and terminological alike."""

_NOTHING = frozenset({"", "mis", "mul", "und", "unk", "zxx"})


def tag(said: str | None) -> str | None:
    """Return a language as BCP 47 writes it, or `None` when it is none.

    `ger` and `deu` are `de`; what is no code of three letters is left as it is: Matroska has BCP 47
    besides.
    """
    text = (said or "").strip()
    primary, _, rest = text.replace("_", "-").partition("-")
    if primary.lower() in _NOTHING:
        return None
    primary = _TWO_LETTERS.get(primary.lower(), primary.lower())
    return f"{primary}-{rest}" if rest else primary
