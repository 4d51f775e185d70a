"""Key pairs for WireGuard."""

import base64

import pytest

from miauflixd.tunnel.wireguard_conf import is_key
from miauflixd.vault.wireguard_keys import new_private_key, public_key


def test_a_public_key_is_what_wg_pubkey_makes_of_it():
    private = "1dvW2paGmg2mZ85N9zDA0V2uF65j/tsmNqqZA0aC1DY="

    assert public_key(private) == "LoSXbekodyTrZTJ1llaF/tzEXs9cvX6PB6gLaz/JFmY="


def test_a_new_key_is_another_each_time_and_has_curve25519_s_fixed_bits():
    keys = {new_private_key() for _ in range(20)}

    assert len(keys) == 20
    for key in keys:
        raw = base64.b64decode(key)
        assert is_key(key)
        assert (raw[0] & 7, raw[31] >> 6) == (0, 1)
        assert is_key(public_key(key))
        assert public_key(key) != key


@pytest.mark.parametrize("text", ["", "x", "!" * 44, base64.b64encode(bytes(31)).decode(), "é"])
def test_what_is_no_key_has_no_public_key_and_is_not_quoted(text):
    with pytest.raises(ValueError, match="base64 of 32 bytes") as caught:
        public_key(text)

    assert caught.value.__cause__ is None
