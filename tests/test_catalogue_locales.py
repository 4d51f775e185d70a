import pytest

from miauflixd.catalogue import locales
from miauflixd.catalogue.locales import parse_locale
from miauflixd.catalogue.model import Locale


def in_order(available: str, *, wanted: str, house: str, original: str) -> str:
    tags = [Locale(tag) for tag in available.split()]
    return " ".join(
        locales.in_order(tags, wanted=Locale(wanted), house=Locale(house), original=original)
    )


def preferences(wanted: str, *, house: str, original: str) -> str:
    return " ".join(locales.preferences(Locale(wanted), house=Locale(house), original=original))


@pytest.mark.parametrize(
    ("raw", "tag"),
    [
        ("en", "en"),
        ("PT_br", "pt-BR"),
        ("pt-BR", "pt-BR"),
        ("es-419", "es-419"),
        ("zh-Hant", "zh-TW"),
        ("zh-hans-SG", "zh-SG"),
        ("de-CH-1996", "de-CH"),
        ("fil", "fil"),
        ("", None),
        ("x", None),
        ("english", None),
        ("en-", None),
        ("en;DROP TABLE", None),
        ("e" * 5000, None),
        (None, None),
        (7, None),
    ],
)
def test_a_tag_is_written_in_one_way(raw, tag):
    assert parse_locale(raw) == tag


@pytest.mark.parametrize(
    ("wanted", "order"),
    [
        ("pt-BR", "pt-BR pt pt-PT de-AT de-CH en en-GB ja fi"),
        ("pt", "pt pt-PT pt-BR de-AT de-CH en en-GB ja fi"),
        ("pt-PT", "pt-PT pt pt-BR de-AT de-CH en en-GB ja fi"),
        ("ja", "ja de-AT de-CH en en-GB fi pt pt-PT pt-BR"),
        ("de", "de-AT de-CH en en-GB ja fi pt pt-PT pt-BR"),
        ("xx", "de-AT de-CH en en-GB ja fi pt pt-PT pt-BR"),
    ],
)
def test_the_nearest_language_is_shown_first(wanted, order):
    available = "en-GB fi pt-PT de-CH pt ja pt-BR en de-AT"

    assert in_order(available, wanted=wanted, house="de", original="ja") == order


def test_brazil_reads_no_titles_of_portugal_while_there_are_its_own():
    assert in_order("pt-PT pt-BR", wanted="pt-BR", house="en", original="en") == "pt-BR pt-PT"
    assert in_order("pt-PT pt-BR", wanted="pt-PT", house="en", original="en") == "pt-PT pt-BR"


def test_what_nobody_has_translated_has_no_order():
    assert in_order("", wanted="en", house="en", original="") == ""


def test_each_language_is_looked_for_once():
    assert preferences("pt-BR", house="pt", original="en") == "pt-BR en"
    assert preferences("fr", house="de-AT", original="ja") == "fr de-AT en ja"
    assert preferences("en", house="en", original="") == "en"
