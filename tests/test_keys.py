"""Keys that stand in addresses: for one purpose, or for one stream."""

import re
from typing import Any

import pytest

from miauflixd.auth.key_store import PurposeKey
from miauflixd.auth.model import (
    AuditType,
    InvalidTokenError,
    KeyId,
    KeyPurpose,
    Role,
    User,
    UserId,
    Viewer,
)
from miauflixd.auth.purpose_keys import KeyForAdminsError, NoKeyError, TooManyKeysError
from miauflixd.auth.viewers import SessionSupersededError
from miauflixd.errors import UnauthenticatedError
from tests.auth_house import EPOCH, HOME, Clock, FakeAccounts, House, open_house

SOURCE = "0123456789abcdef"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "house.sqlite3"


@pytest.fixture
async def house(path):
    async with open_house(path) as house:
        yield house


@pytest.fixture
def anna(house):
    return house.accounts.add("anna")


@pytest.fixture
async def tokens(house, anna):
    return await house.sessions.open(anna, name="TV", address=HOME)


@pytest.fixture
async def viewer(house, tokens):
    return await house.sessions.authenticate(tokens.access)


async def create(
    house: House, user: User, purpose: KeyPurpose = "stremio", name: str = "Living room"
) -> tuple[str, PurposeKey]:
    return await house.purpose_keys.create(user.id, purpose=purpose, name=name, address=HOME)


async def issue(house: House, viewer: Viewer, **more: Any) -> str:
    return await house.stream_keys.issue(viewer, **{"source_id": SOURCE, "file": 0, **more})


async def opens(house: House, key: str, *, source_id: str = SOURCE, file: int | None = 0) -> bool:
    try:
        await house.stream_keys.check(key, source_id=source_id, file=file)
    except UnauthenticatedError:
        return False
    return True


# --- purpose keys ---------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["stremio", "playlist"])
async def test_a_key_is_its_users_for_its_purpose(house, anna, purpose):
    text, key = await create(house, anna, purpose)

    assert re.fullmatch(rf"mfx_{purpose}_[\w-]{{32}}", text)
    assert await house.purpose_keys.check(text, purpose) == Viewer(
        user_id=anna.id, role=Role.USER, session_id=None, max_rating="PG-13"
    )
    for other in {"stremio", "playlist", "metrics"} - {purpose}:
        with pytest.raises(InvalidTokenError):
            await house.purpose_keys.check(text, other)
    assert house.diary.notes == [
        (
            AuditType.KEY_CREATED,
            {"user_id": anna.id, "address": HOME, "key_id": key.id, "purpose": purpose},
        )
    ]


async def test_an_admins_key_makes_no_admin(house):
    text, _ = await create(house, house.accounts.add("root", role=Role.ADMIN))

    assert (await house.purpose_keys.check(text, "stremio")).role is Role.USER


async def test_keys_for_metrics_belong_to_admins_for_as_long_as_they_are(house, anna):
    with pytest.raises(KeyForAdminsError):
        await create(house, anna, "metrics")
    admin = house.accounts.add("root", role=Role.ADMIN)
    text, _ = await create(house, admin, "metrics")
    await house.purpose_keys.check(text, "metrics")

    house.accounts.change(admin, role=Role.USER)

    with pytest.raises(InvalidTokenError):
        await house.purpose_keys.check(text, "metrics")


async def test_keys_are_listed_with_their_last_use_and_without_themselves(house, anna):
    text, key = await create(house, anna, name="First")
    _, unused = await create(house, anna, name="Second")
    await create(house, house.accounts.add("ben"))
    house.clock.pass_by(hours=1)
    await house.purpose_keys.check(text, "stremio")

    listed = house.purpose_keys.of_user(anna.id)

    assert [(each.id, each.name) for each in listed] == [(key.id, "First"), (unused.id, "Second")]
    assert [each.used_at for each in listed] == [house.clock(), None]
    assert listed[0].created_at == EPOCH
    assert text[-32:] not in repr(listed)
    assert len(house.purpose_keys.all()) == 3


async def test_keys_are_revoked_one_by_one(house, anna):
    text, key = await create(house, anna)
    other, _ = await create(house, anna)

    await house.purpose_keys.revoke(key.id, user_id=anna.id, address=HOME)

    with pytest.raises(InvalidTokenError):
        await house.purpose_keys.check(text, "stremio")
    await house.purpose_keys.check(other, "stremio")
    with pytest.raises(NoKeyError):
        await house.purpose_keys.revoke(key.id, user_id=anna.id, address=HOME)
    assert house.diary.kinds()[-1] is AuditType.KEY_REVOKED


async def test_nobody_revokes_anothers_key_but_the_machines_administrator(house, anna):
    text, key = await create(house, anna)

    with pytest.raises(NoKeyError):
        await house.purpose_keys.revoke(key.id, user_id=UserId("ben"), address=HOME)
    with pytest.raises(NoKeyError):
        await house.purpose_keys.revoke(KeyId("nothing"), user_id=None, address=None)
    await house.purpose_keys.check(text, "stremio")
    await house.purpose_keys.revoke(key.id, user_id=None, address=None)
    assert house.purpose_keys.all() == []


async def test_keys_die_with_their_user(house, anna):
    text, _ = await create(house, anna)
    await house.purpose_keys.check(text, "stremio")

    house.accounts.change(anna, disabled=True)
    with pytest.raises(InvalidTokenError):
        await house.purpose_keys.check(text, "stremio")
    house.accounts.change(anna, disabled=False)
    await house.purpose_keys.check(text, "stremio")
    del house.accounts.users[anna.id]
    with pytest.raises(InvalidTokenError):
        await house.purpose_keys.check(text, "stremio")
    await house.purpose_keys.forget_user(anna.id)
    assert house.purpose_keys.all() == []


async def test_keys_and_their_last_use_survive_a_restart(path):
    clock, accounts = Clock(), FakeAccounts()
    anna = accounts.add("anna")
    async with open_house(path, clock=clock, accounts=accounts) as house:
        text, key = await create(house, anna)
        revoked, gone = await create(house, anna)
        await house.purpose_keys.revoke(gone.id, user_id=anna.id, address=HOME)
        clock.pass_by(hours=1)
        await house.purpose_keys.check(text, "stremio")
        await house.purpose_keys.tidy()
        [before] = house.purpose_keys.all()

    async with open_house(path, clock=clock, accounts=accounts) as house:
        assert house.purpose_keys.all() == [before]
        assert before.id == key.id
        assert before.used_at == clock()
        assert (await house.purpose_keys.check(text, "stremio")).user_id == anna.id
        with pytest.raises(InvalidTokenError):
            await house.purpose_keys.check(revoked, "stremio")


async def test_a_user_has_fifty_keys_at_most(house, anna):
    keys = [await create(house, anna) for _ in range(50)]

    with pytest.raises(TooManyKeysError):
        await create(house, anna)
    await create(house, house.accounts.add("ben"))
    await house.purpose_keys.revoke(keys[0][1].id, user_id=anna.id, address=HOME)
    await create(house, anna)


@pytest.mark.parametrize(
    "text",
    ["", "mfx_stremio_", "mfx_stremio_" + "A" * 32, "\udcff", "mfx_x_" + "é" * 32, "A" * 10**6],
)
async def test_what_is_no_key_opens_nothing_and_does_not_ask_the_database(house, text):
    house.listen()

    with pytest.raises(InvalidTokenError):
        await house.purpose_keys.check(text, "stremio")
    with pytest.raises(InvalidTokenError):
        await house.stream_keys.check(text, source_id=SOURCE, file=0)
    assert house.queries == []


async def test_no_key_is_in_the_database(house, anna, viewer, path):
    texts = [(await create(house, anna))[0], await issue(house, viewer)]

    content = b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())

    for text in texts:
        assert text.encode() not in content
        assert text[-32:].encode() not in content


# --- stream keys ----------------------------------------------------------------------------------


async def test_a_stream_key_is_its_viewers_for_one_file_of_one_source(house, viewer):
    key = await issue(house, viewer)

    assert await house.stream_keys.check(key, source_id=SOURCE, file=0) == viewer
    assert not await opens(house, key, file=1)
    assert not await opens(house, key, file=None)
    assert not await opens(house, key, source_id="fedcba9876543210")
    assert not await opens(house, key[:-1] + ("A" if key[-1] != "A" else "B"))


async def test_a_stream_key_lives_for_six_hours_after_its_last_use(house, viewer):
    used, unused = await issue(house, viewer), await issue(house, viewer)

    for _ in range(5):
        house.clock.pass_by(hours=5)
        assert await opens(house, used)

    assert not await opens(house, unused)
    house.clock.pass_by(hours=6)
    assert not await opens(house, used)


async def test_a_try_at_another_file_does_not_let_a_key_live_longer(house, viewer):
    key = await issue(house, viewer)
    house.clock.pass_by(hours=5)
    assert not await opens(house, key, file=1)
    house.clock.pass_by(hours=1)

    assert not await opens(house, key)


async def test_a_range_request_does_not_ask_the_database(house, viewer):
    key = await issue(house, viewer)
    assert await opens(house, key)
    house.listen()

    for _ in range(100):
        assert await opens(house, key)

    assert house.queries == []


async def test_a_player_goes_on_after_a_restart(path):
    clock, accounts = Clock(), FakeAccounts()
    anna = accounts.add("anna")
    async with open_house(path, clock=clock, accounts=accounts) as house:
        tokens = await house.sessions.open(anna, name="TV", address=HOME)
        viewer = await house.sessions.authenticate(tokens.access)
        key = await issue(house, viewer)
        clock.pass_by(hours=5)
        assert await opens(house, key)
        await house.stream_keys.tidy()
    clock.pass_by(hours=5)

    async with open_house(path, clock=clock, accounts=accounts) as house:
        assert await house.stream_keys.check(key, source_id=SOURCE, file=0) == viewer
        assert not await opens(house, key, file=1)


async def test_expired_keys_are_gone_for_good(path):
    clock, accounts = Clock(), FakeAccounts()
    anna = accounts.add("anna")
    async with open_house(path, clock=clock, accounts=accounts) as house:
        tokens = await house.sessions.open(anna, name="TV", address=HOME)
        key = await issue(house, await house.sessions.authenticate(tokens.access))
        clock.pass_by(hours=6)
        await house.stream_keys.tidy()
        assert house.stream_keys._keys == {}
        assert house.stream_keys._of_user == {}

    async with open_house(path, clock=clock, accounts=accounts) as house:
        assert house.stream_keys._keys == {}
        assert not await opens(house, key)


async def test_a_stream_key_dies_with_its_session_at_once(house, anna, tokens, viewer):
    key = await issue(house, viewer)
    assert await opens(house, key)
    other = await house.sessions.open(anna, name="Phone", address=HOME)
    others = await issue(house, await house.sessions.authenticate(other.access))

    await house.sessions.log_out(access_token=tokens.access, address=HOME)

    assert not await opens(house, key)
    assert await opens(house, others)


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": Role.ADMIN}, {}])
async def test_a_stream_key_dies_with_the_sessions_of_a_changed_user(house, anna, viewer, change):
    key = await issue(house, viewer)
    assert await opens(house, key)

    house.accounts.change(anna, **change)

    assert not await opens(house, key)


async def test_the_stream_of_a_superseded_session_says_so(house, anna, viewer):
    key = await issue(house, viewer)
    for number in range(20):
        house.clock.pass_by(seconds=1)
        await house.sessions.open(anna, name=f"device {number}", address=HOME)

    with pytest.raises(SessionSupersededError):
        await house.stream_keys.check(key, source_id=SOURCE, file=0)


async def test_a_stream_for_a_purpose_key_lives_as_long_as_the_user(house, anna):
    text, _ = await create(house, anna)
    key = await issue(house, await house.purpose_keys.check(text, "stremio"))
    assert await opens(house, key)

    house.accounts.change(anna, disabled=True)

    assert not await opens(house, key)


async def test_the_machines_own_administrator_has_no_streams(house):
    with pytest.raises(InvalidTokenError):
        await issue(house, Viewer(user_id=None, role=Role.ADMIN, session_id=None))


async def test_the_end_of_a_playback_is_that_of_its_keys(house, viewer):
    film, subtitles = [await issue(house, viewer, playback_id="p1") for _ in range(2)]
    other = await issue(house, viewer, playback_id="p2")

    await house.stream_keys.forget_playback("p1")

    assert [await opens(house, key) for key in (film, subtitles, other)] == [False, False, True]


async def test_a_user_has_sixty_four_stream_keys_and_those_in_use_stay(house, viewer, path):
    watching = await issue(house, viewer)
    others = [await issue(house, viewer) for _ in range(63)]
    assert await opens(house, watching)

    await issue(house, viewer)

    assert await opens(house, watching)
    assert [await opens(house, key) for key in others] == [False] + [True] * 62
    assert len(house.stream_keys._keys) == 64
    assert len(await house.stream_keys._store.stream_keys()) == 64
