"""What to get ready next."""

import pytest

from miauflixd.auth.model import UserId
from miauflixd.catalogue.model import TitleId
from miauflixd.sources.preload_plan import (
    AT_ONCE,
    MOST_IN_ALL,
    MOST_OF_ONE,
    Held,
    Nearness,
    Onlooker,
    Standing,
    Step,
    Viewport,
    in_sight,
    next_look,
    plan,
    spans,
    too_much,
    within_bounds,
)
from miauflixd.sources.ranking import Preference
from miauflixd.torrents.model import Layout, NoSourceError, SourceFile, SourceId

MIB = 2**20
ANNA = Onlooker(user_id=UserId("anna"), preference=Preference())
BEN = Onlooker(user_id=UserId("ben"), preference=Preference(languages=("de",)))
EVERYTHING: frozenset[Step] = frozenset({"search", "open", "warm"})


def movie(number: int) -> TitleId:
    return TitleId.parse(f"movie:{number}")


def screen(*items: tuple[int, Nearness], at: float = 0.0, viewer: Onlooker = ANNA) -> Viewport:
    return Viewport(
        viewer=viewer, items={movie(number): nearness for number, nearness in items}, at=at
    )


def steps(*viewports: Viewport, now: float = 0.0, **known: Standing) -> list[tuple[int, str]]:
    """Return what is planned; what is known is given as `movie1=...`."""
    standings = {
        movie(int(name.removeprefix("movie"))): standing for name, standing in known.items()
    }
    errands = plan(in_sight(viewports, now=now), standings, now=now)
    return [(errand.title_id.number, errand.step) for errand in errands]


FOCUSED, ADJACENT, VISIBLE, NEAR = Nearness


def test_what_is_nearer_goes_first_and_there_are_never_more_than_three() -> None:
    shown = screen((1, NEAR), (2, VISIBLE), (3, ADJACENT), (4, FOCUSED), (5, ADJACENT))

    assert steps(shown) == [(4, "search"), (3, "search"), (5, "search")]
    assert len(steps(shown)) == AT_ONCE


def test_the_focused_title_is_taken_all_the_way_before_others_begin_theirs() -> None:
    shown = screen((1, FOCUSED), (2, VISIBLE))
    searched = Standing(done=frozenset({"search"}))
    opened = Standing(done=frozenset({"search", "open"}))

    assert steps(shown, movie1=searched)[0] == (1, "open")
    assert steps(shown, movie1=opened)[0] == (1, "warm")
    assert steps(shown, movie1=Standing(done=EVERYTHING)) == [(2, "search")]


@pytest.mark.parametrize(
    ("nearness", "furthest"), [(FOCUSED, 3), (ADJACENT, 3), (VISIBLE, 2), (NEAR, 1)]
)
def test_each_is_taken_as_far_as_its_place_is_worth(nearness: Nearness, furthest: int) -> None:
    taken: list[str] = []
    known: frozenset[Step] = frozenset()
    while found := plan(
        in_sight([screen((1, nearness))], now=0.0), {movie(1): Standing(done=known)}, now=0.0
    ):
        taken.append(found[0].step)
        known |= {found[0].step}
    assert taken == ["search", "open", "warm"][:furthest]


def test_what_has_failed_rests_and_the_others_go_on() -> None:
    shown = screen((1, FOCUSED), (2, ADJACENT))
    failed = Standing(rests_until=50.0)

    assert steps(shown, now=10.0, movie1=failed) == [(2, "search")]
    assert steps(shown, now=50.0, movie1=failed)[0] == (1, "search")


def test_a_client_that_is_silent_shows_nothing_any_more() -> None:
    shown = screen((1, FOCUSED), at=0.0)

    assert steps(shown, now=119.0) == [(1, "search")]
    assert steps(shown, now=120.0) == []


def test_of_two_screens_the_nearer_place_counts_and_so_does_who_looks_at_it() -> None:
    sights = in_sight([screen((1, NEAR), (2, VISIBLE)), screen((1, FOCUSED), viewer=BEN)], now=0.0)

    assert [*sights] == [movie(1), movie(2)]
    assert sights[movie(1)].viewer is BEN


def test_the_next_look_is_when_a_rest_or_a_screen_is_over() -> None:
    shown = screen((1, FOCUSED), at=0.0)
    failed = {movie(1): Standing(rests_until=30.0)}

    assert next_look([shown], [movie(1)], failed, now=10.0) == 20.0
    assert next_look([shown], [movie(1)], failed, now=40.0) == 80.0
    assert next_look([], [], {}, now=40.0) is None


# --- bytes ----------------------------------------------------------------------------------------


def test_head_tail_and_resume_point_are_wanted_in_this_order() -> None:
    file = SourceFile(index=3, name="film.mkv", size=1000 * MIB, offset=0)

    assert spans(file, resume_at=None) == [(3, 0, 4 * MIB), (3, 998 * MIB, 1000 * MIB)]
    assert spans(file, resume_at=0.5)[2] == (3, 500 * MIB, 504 * MIB)
    assert spans(file, resume_at=0.9999)[2][2] == 1000 * MIB


@pytest.mark.parametrize("resume_at", [0.0, 1.0, 1.5, -1.0, float("nan"), float("inf")])
def test_a_resume_point_that_is_none_is_not_wanted(resume_at: float) -> None:
    file = SourceFile(index=0, name="film.mkv", size=1000 * MIB, offset=0)

    assert len(spans(file, resume_at=resume_at)) == 2


def test_of_a_small_or_empty_file_no_more_than_there_is_is_wanted() -> None:
    small = SourceFile(index=0, name="film.mkv", size=MIB, offset=0)
    empty = SourceFile(index=0, name="film.mkv", size=0, offset=0)

    assert all(0 <= start < stop <= MIB for _, start, stop in spans(small, resume_at=0.5))
    assert spans(empty, resume_at=0.5) == []


@pytest.mark.parametrize("piece", [2**14, MIB, 16 * MIB, 32 * MIB, 128 * MIB])
def test_no_source_costs_more_than_its_bound_however_big_its_pieces(piece: int) -> None:
    file = SourceFile(index=0, name="film.mkv", size=4000 * MIB, offset=5)
    layout = Layout(name="x", piece_length=piece, total_size=4000 * MIB + 5, files=(file,))

    taken, size = within_bounds(layout, spans(file, resume_at=0.3))

    assert size <= MOST_OF_ONE
    assert [span[1] for span in taken] == sorted(
        (span[1] for span in taken), key=[0, 3998 * MIB, int(4000 * MIB * 0.3)].index
    )
    assert bool(taken) == (piece <= MOST_OF_ONE)


def test_a_file_that_is_not_there_is_an_error() -> None:
    file = SourceFile(index=0, name="film.mkv", size=MIB, offset=0)
    layout = Layout(name="x", piece_length=MIB, total_size=MIB, files=(file,))

    with pytest.raises(NoSourceError):
        within_bounds(layout, [(7, 0, 1)])


def held(number: int, size: int, *, title: int | None = None) -> Held:
    return Held(
        source_id=SourceId(f"source-{number}"),
        size=size,
        title_id=None if title is None else movie(title),
    )


def test_what_was_fetched_first_goes_first_when_there_is_no_room() -> None:
    some = [held(number, MOST_IN_ALL // 4, title=number) for number in range(4)]

    assert too_much(some, [], more=0) == []
    assert too_much(some, [], more=1) == ["source-0"]
    assert too_much(some, [movie(0)], more=MOST_IN_ALL // 4 + 1) == ["source-1", "source-2"]


def test_what_is_on_a_screen_stays_and_then_there_may_be_no_room() -> None:
    some = [held(number, MOST_IN_ALL // 2, title=number) for number in range(2)]

    assert too_much(some, [movie(0), movie(1)], more=1) is None


def test_what_is_left_over_from_before_goes() -> None:
    assert too_much([held(1, MOST_IN_ALL)], [movie(1)], more=1) == ["source-1"]
