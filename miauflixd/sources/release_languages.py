"""The words that name languages, spoken or written. No I/O.

Codes of two letters, and those of three that are also somebody's name, count in capitals only.
"""

from miauflixd.sources.release_model import MULTIPLE
from miauflixd.sources.release_vocabulary import CAPITALS, LATER, PASSING, PLAIN, Meaning

_SPOKEN: tuple[tuple[str, str, str], ...] = (
    # language, names and codes in any case, codes in capitals
    ("en", r"English|Eng|Ing[lL][eê]s|Inglese", r"EN"),
    ("es-419", r"(?:Espa[nñ]ol~|Spanish~)?Latino|Spanish~Latin(?:~America)?|Lat(?:in)?", r""),
    ("es", r"Castellano|Espa[nñ]ol|Spanish|Esp|Spa", r"ES"),
    ("pt-BR", r"PT~BR|Portugu[eê]s~BR|Brazilian", r""),
    ("pt-PT", r"PT~PT", r""),
    ("pt", r"Portugu[eê]se?", r"POR|PT"),
    ("fr-CA", r"", r"VFQ|VQ"),
    ("fr", r"True~French|French|Fran[cç]ais|Fra|Fre", r"VF[FI2]?|VOF|FR"),
    ("it", r"Italiano?|Ita", r"IT"),
    ("de", r"German|Deutsch|Deu|Ger", r"DE"),
    ("nl", r"Dutch|Nederlands|Flemish|Vlaams", r"NL|DUT"),
    ("da", r"Danish|Dansk", r"DAN|DK"),
    ("sv", r"Swedish|Svensk[at]?|Swe", r"SE"),
    ("nb", r"Norwegian|Norsk", r"NOR"),
    ("fi", r"Finnish|Suomi", r"FIN"),
    ("is", r"Icelandic", r""),
    ("pl", r"Polish|Polski", r"POL|PL"),
    ("cs", r"Czech|[CČ]esk[yý]", r"CZE?|CES"),
    ("sk", r"Slovak", r"SK|SLO"),
    ("hu", r"Hungarian|Magyar|Hun", r"HU"),
    ("ro", r"Romanian", r"RO|ROM"),
    ("bg", r"Bulgarian", r"BG|BUL"),
    ("sr", r"Serbian", r"SRP"),
    ("hr", r"Croatian", r"HRV"),
    ("sl", r"Slovenian", r"SLV"),
    ("el", r"Greek", r"GRE"),
    ("ru", r"Russian|Rus|Русский", r"RU"),
    ("uk", r"Ukrainian|Ukr|Український", r"UA"),
    ("lt", r"Lithuanian", r"LT|LIT"),
    ("lv", r"Latvian", r"LV"),
    ("et", r"Estonian", r"EST"),
    ("tr", r"Turkish|T[uü]rk[cç]e", r"TR|TUR"),
    ("ar", r"Arabic", r"ARA"),
    ("he", r"Hebrew", r"HEB"),
    ("fa", r"Persian|Farsi", r"PER"),
    ("hi", r"Hindi|Hin", r"HI"),
    ("ta", r"Tamil|Tam", r""),
    ("te", r"Telugu|Tel", r""),
    ("ml", r"Malayalam", r"MAL"),
    ("kn", r"Kannada", r"KAN"),
    ("bn", r"Bengali|Bangla", r"BEN"),
    ("mr", r"Marathi", r"MAR"),
    ("gu", r"Gujarati", r"GUJ"),
    ("pa", r"Punjabi", r"PUN"),
    ("ur", r"Urdu", r"URD"),
    ("ja", r"Japanese|Jap|Jpn|日本語", r"JP|JA"),
    ("ko", r"Korean|Kor|한국어", r"KR|KO"),
    ("yue", r"Cantonese", r""),
    ("zh", r"Chinese|Mandarin|Chi|国语", r"CN|ZH"),
    ("th", r"Thai", r"THA"),
    ("vi", r"Vietnamese", r"VIE"),
    ("id", r"Indonesian", r"IND"),
    ("ms", r"Malay", r""),
    ("fil", r"Filipino|Tagalog", r""),
    ("ca", r"Catal[aà]n?", r"CAT"),
)

# In front of a word for subtitles without a blank, `NLsubs`, and behind it, `SUBITA`.
_WRITTEN: tuple[tuple[str, str], ...] = (
    ("en", r"E(?:ng?)?"),
    ("fr", r"FR(?:ENCH|A)?"),
    ("it", r"ITA?"),
    ("nl", r"NL"),
    ("da", r"DK|Dan"),
    ("sv", r"Swe|SE"),
    ("nb", r"Nor"),
    ("fi", r"Fin"),
    ("pl", r"PL"),
    ("hu", r"Hun"),
    ("ro", r"Ro"),
    ("es", r"Esp|Spa"),
    ("de", r"Ger"),
    ("ru", r"Rus"),
    ("ko", r"Kor"),
    ("cs", r"CZ"),
    (MULTIPLE, r"M(?:ulti(?:ple)?~)?|Nordic~?|Dual~"),
)

_SUBS = r"(?:Hard|Soft)?~?Sub(?:bed|title[sd]?|s)?"

LANGUAGES: tuple[Meaning, ...] = (
    # Before the languages: they are longer.
    Meaning(r"VOST(?:FR|A)?|STFR", "subtitles", "fr", PLAIN),
    Meaning(r"Legendad[oa]s?", "subtitles", "pt-BR", LATER),
    Meaning(r"Napisy(?:~PL)?", "subtitles", "pl", LATER),
    Meaning(r"CHS|GB_JP|Chs~?Cht|简体|简中|简日双语|中文字幕", "subtitles", "zh-Hans", LATER),
    Meaning(r"CHT|BIG5|繁體|繁体|繁中", "subtitles", "zh-Hant", LATER),
    *(
        Meaning(rf"(?:{codes}){_SUBS}|Sub(?:bed)?(?:{codes})", "subtitles", language, LATER)
        for language, codes in _WRITTEN
    ),
    Meaning(r"NORDiC", "subtitles", MULTIPLE, LATER),
    Meaning(_SUBS, "subbed", trust=LATER),
    Meaning(r"HARDCODED|HC", "hardcoded", trust=CAPITALS),
    Meaning(r"(?:German|Ger)~DL", "language+dual_audio+multiple", "de", LATER),
    Meaning(r"DL", "dual_german", trust=CAPITALS),
    Meaning(r"(?:German|Ger)~ML", "language+multiple", "de", LATER),
    Meaning(r"Multi~?(?:VF[FI2]?|French)", "language+multiple", "fr", LATER),
    Meaning(r"Dublado", "language+dubbed", "pt-BR", LATER),
    Meaning(r"Doblad[oa]", "language+dubbed", "es", LATER),
    Meaning(r"Dabing|CZ~?Dab(?:ing)?", "language+dubbed", "cs", LATER),
    Meaning(r"PL~?DUB(?:BING)?|DUB(?:BING)?~?PL|Lektor(?:~PL)?", "language+dubbed", "pl", LATER),
    Meaning(r"Дубляж|Дублированный|MVO|DVO|AVO", "language+dubbed", "ru", LATER),
    Meaning(r"(?:Fan~?)?Dub(?:bed|s)?", "dubbed", trust=LATER),
    Meaning(r"Dual~[AÁ]udio|2~?Audio", "dual_audio", trust=PLAIN),
    Meaning(r"Dual", "dual_audio", trust=LATER),
    Meaning(
        r"Multi~(?:Audio|Lang(?:uages?)?|Dub(?:s|bed)?)|Multilingual|Tri(?:ple)?~Audio",
        "multiple",
        trust=PLAIN,
    ),
    Meaning(r"\d\d?~Languages", "multiple", trust=PASSING),
    Meaning(r"Multi~?\d{0,2}", "multiple", trust=LATER),
    *(Meaning(names, "language", language, LATER) for language, names, _ in _SPOKEN if names),
    *(Meaning(codes, "language", language, CAPITALS) for language, _, codes in _SPOKEN if codes),
)
