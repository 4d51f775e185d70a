"""What encodes pictures on this machine: whatever shows that it does."""

import pytest

from miauflixd.playback.encoders import Encoders
from miauflixd.remuxer import trial


def test_an_encoder_that_works_tells_its_pace():
    pace = trial.pace("libx264")
    assert pace is not None
    assert pace > 0


@pytest.mark.parametrize("encoder", ["no_such_encoder", "h264_nvenc"])
def test_one_that_does_not_is_none(encoder):
    # The last is compiled in, and has no device in any machine that tests run on.
    assert trial.pace(encoder) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("software", "hardware", "best"),
    [
        (False, ("no_such_encoder",), None),
        (True, ("no_such_encoder",), "libx264"),
        (True, (), "libx264"),
    ],
)
async def test_the_first_that_works_is_taken(software, hardware, best):
    encoders = Encoders(software=software, hardware=hardware)
    assert encoders.best is None
    await encoders.find()
    assert encoders.best == best
