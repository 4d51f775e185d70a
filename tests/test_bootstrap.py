"""What the composition root refuses to build."""

import pytest

from miauflixd.bootstrap import application
from miauflixd.config.settings import Config
from miauflixd.database.settings import StorageSettings
from miauflixd.errors import SettingsError


async def test_without_a_keeper_nothing_starts_unless_somebody_has_said_so(tmp_path):
    data = tmp_path / "data"
    config = Config(storage=StorageSettings(path=data))
    assert config.vpn.mode == "required"
    with pytest.raises(SettingsError, match=r'vpn\.mode: "required" needs a keeper'):
        async with application(config):
            pass
    assert not data.exists()
