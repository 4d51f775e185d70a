import pytest

from miauflixd.catalogue.certifications import age, age_of, deciding, limit_of, may_see


@pytest.mark.parametrize(
    ("region", "certification", "years"),
    [
        ("US", "G", 0),
        ("US", "PG-13", 13),
        ("US", "pg-13", 13),
        ("US", "R", 17),
        ("US", "NC-17", 18),
        ("US", "TV-Y7-FV", 7),
        ("US", "TV-Y7", 7),
        ("US", "TV-14", 14),
        ("US", "NR", None),
        ("GB", "U", 0),
        ("GB", "12A", 12),
        ("GB", "R18", 18),
        ("DE", "0", 0),
        ("DE", "16", 16),
        ("FR", "TP", 0),
        ("IT", "VM14", 14),
        ("IT", "6+", 6),
        ("SE", "Btl", 0),
        ("FI", "K-16", 16),
        ("BR", "L", 0),
        ("BR", "A14", 14),
        ("AU", "M", 15),
        ("AU", "MA15+", 15),
        ("AU", "MA 15+", 15),
        ("NZ", "M", 16),
        ("NZ", "RP13", 13),
        ("JP", "PG12", 12),
        ("JP", "R18+", 18),
        ("KR", "19", 18),
        ("KR", "Restricted Screening", 18),
        ("PT", "M/12", 12),
        ("PT", "Públicos", 0),
        ("RU", "12+", 12),
        ("IN", "UA 13+", 13),
        ("IN", "A", 18),
        ("DK", "A", 0),
        ("MX", "B-15", 15),
        ("IE", "12A", 12),
        ("XX", "14", 14),
        ("XX", "A", None),
        ("US", "", None),
        ("US", "\u0661\u0662", None),
        ("US", "-5", None),
        ("US", "1984", None),
        ("US", "A" * 100_000, None),
    ],
)
def test_a_certification_says_from_what_age(region, certification, years):
    assert age(certification, region) == years


@pytest.mark.parametrize(
    ("certifications", "region", "years", "where"),
    [
        ({"DE": "12", "US": "R"}, "DE", 12, "DE"),
        ({"FR": "16", "US": "PG-13"}, "DE", 13, "US"),
        ({"FR": "12", "AU": "M", "NL": "6"}, "DE", 15, "AU"),
        ({"DE": "ungeprüft", "US": "PG-13"}, "DE", 13, "US"),
        ({"DE": "?", "US": "NR"}, "DE", None, "DE"),
        ({"US": "NR", "FR": "?"}, "DE", None, "FR"),
        ({}, "DE", None, None),
    ],
)
def test_the_region_of_the_house_decides_then_the_us_then_the_strictest(
    certifications, region, years, where
):
    assert age_of(certifications, region) == years
    assert deciding(certifications, region) == where


@pytest.mark.parametrize(
    ("rating", "region", "limit"),
    [
        ("PG-13", "US", 13),
        ("pg-13", "DE", 13),
        ("12", "US", 12),
        ("FSK 12", "DE", 12),
        ("R", "US", 17),
        ("R", "AU", 18),
        ("TV-MA", "GB", 17),
        ("99", "US", 18),
        ("U", "US", 0),
        ("A", "DE", 0),
        ("anything", "US", 0),
        ("", "US", 0),
        ("-18", "US", 0),
    ],
)
def test_a_limit_that_nobody_understands_lets_through_least(rating, region, limit):
    assert limit_of(rating, region) == limit


def test_whoever_has_a_limit_sees_nothing_that_is_not_known_to_be_within():
    assert may_see(None, None)
    assert may_see(18, None)
    assert may_see(12, 12)
    assert not may_see(13, 12)
    assert not may_see(None, 18)
