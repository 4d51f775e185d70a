"""What a source is said to be doing, why, and what comes next."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.torrents.condition import Circumstances, activity_of, explain
from miauflixd.torrents.model import Activity

WATCHED = Circumstances(
    active=True,
    known=True,
    checked=True,
    complete=False,
    wanting=True,
    peers=3,
    no_room=False,
    failure=None,
)


@pytest.mark.parametrize(
    ("changed", "activity", "reason"),
    [
        ({}, Activity.DOWNLOADING, "Somebody is watching, or was a moment ago."),
        ({"peers": 0}, Activity.DOWNLOADING, "No peer has been found yet."),
        ({"wanting": False}, Activity.IDLE, "Nothing of it is wanted now."),
        ({"complete": True, "wanting": False}, Activity.COMPLETE, "Everything is here."),
        ({"checked": False}, Activity.CHECKING, "Reading what is on the disk already."),
        ({"known": False, "checked": False}, Activity.METADATA, "Asking peers what it holds."),
        (
            {"known": False, "checked": False, "peers": 0},
            Activity.METADATA,
            "No peer has been found yet.",
        ),
        ({"active": False}, Activity.DORMANT, "Nobody has asked for it lately."),
        ({"no_road": "It is down."}, Activity.TUNNEL_DOWN, "It is down."),
        ({"no_road": "It is down.", "known": False}, Activity.TUNNEL_DOWN, "It is down."),
        # What needs nobody else goes on.
        (
            {"no_road": "It is down.", "wanting": False},
            Activity.IDLE,
            "Nothing of it is wanted now.",
        ),
        (
            {"no_road": "It is down.", "checked": False},
            Activity.CHECKING,
            "Reading what is on the disk already.",
        ),
        (
            {"no_road": "It is down.", "complete": True, "wanting": False},
            Activity.COMPLETE,
            "Everything is here.",
        ),
        (
            {"no_road": "It is down.", "active": False},
            Activity.DORMANT,
            "Nobody has asked for it lately.",
        ),
        ({"no_road": "It is down.", "failure": "It is broken."}, Activity.FAILED, "It is broken."),
        ({"no_room": True}, Activity.DISK_FULL, "There is too little room on the disk."),
        ({"failure": "It is broken."}, Activity.FAILED, "It is broken."),
        ({"failure": "It is broken.", "no_room": True}, Activity.FAILED, "It is broken."),
    ],
)
def test_a_source_says_what_it_does_and_why(changed, activity, reason):
    now = replace(WATCHED, **changed)
    assert activity_of(now) is activity
    assert explain(activity, now)[0] == reason


@given(
    now=st.builds(
        Circumstances,
        failure=st.none() | st.just("It is broken."),
        no_road=st.none() | st.just("It is down."),
        peers=st.integers(0, 5),
        **dict.fromkeys(
            ("active", "known", "checked", "complete", "wanting", "no_room"), st.booleans()
        ),
    )
)
def test_in_any_circumstances_there_are_two_sentences(now):
    for sentence in explain(activity_of(now), now):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
