"""The ladder in the database: in order, and unreadable to whoever takes the file."""

import sqlite3
from contextlib import AsyncExitStack

import pytest

from miauflixd.database.database import Database
from miauflixd.runtime.secrets import Secret
from miauflixd.tunnel.model import (
    Credentials,
    NoEndpointError,
    RungId,
    StoredAccount,
    StoredEndpoint,
)
from miauflixd.tunnel.store import TunnelStore
from miauflixd.vault.sealing import Sealer, UnsealError
from tests.tunnel_fakes import PRESHARED_KEY, PRIVATE_KEY, SEALING_KEY, SECRETS, TOKEN, spec


@pytest.fixture
def path(tmp_path):
    return tmp_path / "house.sqlite3"


@pytest.fixture
async def open_store(path):
    """Open the store as the daemon does; opening it again is a restart."""
    async with AsyncExitStack() as stack:

        async def open_it(key: bytes = SEALING_KEY) -> TunnelStore:
            await stack.aclose()
            database = await stack.enter_async_context(Database.open(path))
            return TunnelStore(database=database, sealer=Sealer(key))

        yield open_it


@pytest.fixture
async def store(open_store):
    return await open_store()


async def names(store: TunnelStore) -> list[str]:
    found = []
    for rung in await store.rungs():
        match rung:
            case StoredEndpoint():
                found.append(rung.spec.name)
            case StoredAccount():
                found.append(rung.provider)
    return found


async def account(store: TunnelStore) -> StoredAccount:
    (only,) = [rung for rung in await store.rungs() if isinstance(rung, StoredAccount)]
    return only


async def test_what_is_added_stands_at_the_foot_and_is_there_after_a_restart(store, open_store):
    await store.add_endpoints([spec(2, preshared_key=Secret(PRESHARED_KEY)), spec(1)])
    await store.add_account("nordvpn", Credentials(token=Secret(TOKEN)))
    await store.add_endpoints([spec(3)])
    before = await store.rungs()
    again = await open_store()
    after = await again.rungs()
    assert after == before
    assert await names(again) == ["Server 2", "Server 1", "nordvpn", "Server 3"]
    first = after[0]
    assert isinstance(first, StoredEndpoint)
    assert first.spec.private_key.reveal() == PRIVATE_KEY
    assert first.spec.preshared_key == Secret(PRESHARED_KEY)


async def test_a_renewed_file_replaces_the_key_and_keeps_the_place(store):
    await store.add_endpoints([spec(1), spec(2)])
    before = await store.rungs()
    await store.add_endpoints([spec(1, name="Renewed", private_key=Secret(PRESHARED_KEY))])
    after = await store.rungs()
    assert [rung.id for rung in after] == [rung.id for rung in before]
    assert isinstance(after[0], StoredEndpoint)
    assert after[0].spec.private_key.reveal() == PRESHARED_KEY
    assert await names(store) == ["Renewed", "Server 2"]


async def test_nothing_in_the_file_tells_a_key_a_token_or_where_somebody_connects_to(store, path):
    await store.add_endpoints([spec(1, preshared_key=Secret(PRESHARED_KEY))])
    await store.add_account("nordvpn", Credentials(token=Secret(TOKEN)), [spec(2)])
    await store.remember_addresses({"secret-place.example": ["198.51.100.7"]})
    written = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"vpn_rungs" in written
    for hidden in (*SECRETS, "198.51.100", "nordvpn", "Server", "secret-place", spec(1).public_key):
        assert hidden.encode() not in written


async def test_nothing_that_is_printed_tells_a_key_or_a_token(store):
    await store.add_endpoints([spec(1, preshared_key=Secret(PRESHARED_KEY))])
    await store.add_account("nordvpn", Credentials(token=Secret(TOKEN)), [spec(2)])
    printed = f"{await store.rungs()!r} {await store.rungs()}"
    assert "Server 1" in printed
    assert not any(secret in printed for secret in SECRETS)


async def test_a_sealed_value_opens_in_its_own_row_only(store, open_store, path):
    await store.add_endpoints([spec(1), spec(2)])
    with sqlite3.connect(path) as file:
        rows = file.execute("SELECT id, endpoint FROM vpn_rungs").fetchall()
        for (row, _), (_, content) in zip(rows, reversed(rows), strict=True):
            file.execute("UPDATE vpn_rungs SET endpoint = ? WHERE id = ?", (content, row))
    file.close()
    with pytest.raises(UnsealError):
        await (await open_store()).rungs()


async def test_another_key_opens_nothing(store, open_store):
    await store.add_endpoints([spec(1)])
    with pytest.raises(UnsealError):
        await (await open_store(bytes(32))).rungs()


async def test_a_server_keeps_its_id_when_the_provider_names_it_in_another_place(store):
    await store.add_account("nordvpn", Credentials(token=Secret(TOKEN)), [spec(1), spec(2)])
    before = {server.spec.name: server.id for server in (await account(store)).servers}
    rung = (await account(store)).id
    await store.save_account(rung, Credentials(), [spec(3), spec(2), spec(1)])
    after = {server.spec.name: server.id for server in (await account(store)).servers}
    assert [*after] == ["Server 3", "Server 2", "Server 1"]
    assert before.items() < after.items()
    assert len({*after.values()}) == 3


async def test_what_a_provider_says_does_not_take_away_what_was_known(store):
    await store.add_account("nordvpn", Credentials(token=Secret(TOKEN)), [spec(1)])
    rung = (await account(store)).id
    await store.save_account(rung, Credentials(private_key=Secret(PRIVATE_KEY)), [spec(1)])
    # As at the next start, from the settings.
    await store.add_account("nordvpn", Credentials(token=Secret(TOKEN)))
    known = await account(store)
    assert known.id == rung
    assert known.credentials.private_key == Secret(PRIVATE_KEY)
    assert [server.spec.name for server in known.servers] == ["Server 1"]
    assert known.refreshed_at is not None


async def test_a_new_token_of_the_same_key_is_the_same_account(store):
    key = Secret(PRIVATE_KEY)
    await store.add_account("nordvpn", Credentials(token=Secret(TOKEN), private_key=key))
    await store.add_account("nordvpn", Credentials(token=Secret("renewed"), private_key=key))
    assert (await account(store)).credentials.token == Secret("renewed")
    await store.add_account("mullvad", Credentials(private_key=key))
    assert await names(store) == ["nordvpn", "mullvad"]


async def test_the_ladder_can_be_put_in_another_order(store):
    await store.add_endpoints([spec(number) for number in range(1, 5)])
    rungs = [rung.id for rung in await store.rungs()]
    await store.reorder([RungId(rungs[2]), RungId(rungs[0]), RungId(rungs[2])])
    assert await names(store) == ["Server 3", "Server 1", "Server 2", "Server 4"]
    await store.add_endpoints([spec(5)])
    assert (await names(store))[-1] == "Server 5"


async def test_an_order_with_a_stranger_in_it_changes_nothing(store):
    await store.add_endpoints([spec(1), spec(2)])
    rungs = [RungId(rung.id) for rung in await store.rungs()]
    with pytest.raises(NoEndpointError):
        await store.reorder([rungs[1], RungId("stranger")])
    assert await names(store) == ["Server 1", "Server 2"]


async def test_what_is_removed_is_gone_and_cannot_be_removed_again(store):
    await store.add_endpoints([spec(1)])
    (rung,) = await store.rungs()
    await store.remove(RungId(rung.id))
    assert await store.rungs() == []
    with pytest.raises(NoEndpointError):
        await store.remove(RungId(rung.id))
    # A list that was under way when the account was removed does not bring it back.
    await store.save_account(RungId(rung.id), Credentials(), [spec(2)])
    assert await store.rungs() == []


async def test_addresses_are_remembered_for_the_next_start(store, open_store):
    assert await store.remembered_addresses() == {}
    await store.remember_addresses({"a.example": ("198.51.100.1", "2001:db8::1")})
    after = await (await open_store()).remembered_addresses()
    assert after == {"a.example": ("198.51.100.1", "2001:db8::1")}
