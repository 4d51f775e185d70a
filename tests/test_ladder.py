"""The ladder: which endpoint next."""

from hypothesis import given
from hypothesis import strategies as st

from miauflixd.keeper.ladder import FORGOTTEN, HALF_LIFE, Ladder, same_server
from miauflixd.keeper.messages import Server
from tests.keeper_fakes import endpoint

A, B, C = endpoint(1), endpoint(2), endpoint(3)
LADDER = Ladder((A, B, C))


def test_the_first_is_the_best():
    assert LADDER.best(0.0) is A


def test_an_empty_ladder_has_no_best_and_nobody_to_prefer():
    assert Ladder().best(0.0) is None
    assert Ladder().preferred() is None
    assert Ladder().companion(A, 0.0) is None


def test_whoever_failed_is_passed_over():
    assert LADDER.penalising({"e1"}, 0.0).best(1.0) is B


def test_if_all_have_failed_the_least_guilty_is_the_best():
    ladder = LADDER.penalising({"e1", "e2", "e3"}, 0.0).penalising({"e1", "e2"}, 0.0)

    assert ladder.best(1.0) is C


def test_half_of_a_penalty_is_forgotten_after_ten_minutes_and_all_of_it_in_the_end():
    ladder = LADDER.penalising({"e1"}, 0.0)

    assert ladder.standing(HALF_LIFE) == {"e1": 0.5}
    assert ladder.best(HALF_LIFE) is B
    assert ladder.best(HALF_LIFE * 2.1) is A
    assert ladder.standing(HALF_LIFE * 6) == {}


def test_a_clock_that_goes_back_adds_nothing_to_a_penalty():
    assert LADDER.penalising({"e1"}, 100.0).against("e1", 0.0) == 1.0


def test_whom_a_person_chose_stands_above_the_order():
    ladder = LADDER.choosing("e3")

    assert ladder.preferred() is C
    assert ladder.best(0.0) is C
    assert ladder.penalising({"e3"}, 0.0).best(0.0) is A


def test_a_new_ladder_keeps_what_is_known_of_those_that_stay():
    ladder = LADDER.penalising({"e1", "e2"}, 0.0).choosing("e1").silent("e1").replaced((B, C))

    assert ladder.chosen is None
    assert ladder.mute == frozenset()
    assert ladder.standing(0.0) == {"e2": 1.0}
    assert ladder.replaced((C, B)).best(0.0) is C


def test_the_companion_of_the_preferred_one_is_of_another_neighbourhood_and_provider():
    neighbour = endpoint(4)
    neighbour = type(neighbour)(
        id="n",
        name="Neighbour",
        provider="nord",
        servers=[Server(host="198.51.1.200", port=1)],
        public_key="N",
        private_key="P",
        addresses=[],
    )
    other = endpoint(5, provider="mullvad")

    assert Ladder((A, neighbour, B)).companion(A, 0.0) is B
    assert Ladder((A, neighbour, B, other)).companion(A, 0.0) is other
    assert Ladder((A, neighbour)).companion(A, 0.0) is neighbour


def test_the_companion_of_a_substitute_is_where_we_would_rather_be_once_it_is_forgiven():
    ladder = LADDER.penalising({"e1"}, 0.0)

    assert ladder.companion(B, 1.0) is C
    assert ladder.companion(B, HALF_LIFE * 3) is A


def test_a_companion_is_never_the_same_server_under_another_name():
    twin = endpoint(6)
    twin = type(twin)(
        id="twin",
        name="Twin",
        provider="other",
        servers=A.servers,
        public_key="T",
        private_key="P",
        addresses=[],
    )

    assert same_server(A, twin)
    assert not same_server(A, B)
    assert Ladder((A, twin)).companion(A, 0.0) is None


def test_neighbourhoods_of_ipv6_are_as_large_as_what_a_provider_gets():
    six = [
        type(A)(
            id=f"v{i}",
            name=f"v{i}",
            provider="p",
            servers=[Server(host=host, port=1)],
            public_key=f"{i}",
            private_key="P",
            addresses=[],
        )
        for i, host in enumerate(("2001:db8:1::1", "2001:db8:1:9::1", "2001:db8:2::1"))
    ]

    assert Ladder(tuple(six)).companion(six[0], 0.0) is six[2]


def test_three_mute_endpoints_of_a_provider_make_its_keys_suspect_until_one_answers():
    ladder = LADDER.silent("e1").silent("e2")
    assert ladder.refusing_provider() is None

    ladder = ladder.silent("e3")
    assert ladder.refusing_provider() == "nord"
    assert ladder.answered(B).refusing_provider() is None


@given(
    st.lists(st.tuples(st.sampled_from(["e1", "e2", "e3"]), st.floats(0, 5000)), max_size=12),
    st.floats(0, 9000),
    st.sets(st.sampled_from(["e1", "e2", "e3"])),
)
def test_no_penalised_one_is_picked_while_another_is_not(failures, now, without):
    ladder = LADDER
    for endpoint_id, at in failures:
        ladder = ladder.penalising({endpoint_id}, at, weight=0.5)

    best = ladder.best(now, without=without)

    free = [each for each in (A, B, C) if each.id not in without]
    assert (best is None) == (not free)
    if best and ladder.is_penalised(best.id, now):
        assert all(ladder.is_penalised(each.id, now) for each in free)
    assert all(left >= FORGOTTEN / 4 for left in ladder.standing(now).values())
