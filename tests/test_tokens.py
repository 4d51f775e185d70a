"""Access tokens, and everything that somebody may try instead of having one."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.auth.model import InvalidTokenError, Role, SessionId, TokenExpiredError, UserId
from miauflixd.auth.tokens import AccessTokens, Claims, SigningKey
from miauflixd.vault.sealing import signing_key
from tests.auth_house import EPOCH, MASTER_KEY, SECRET, Clock

CLAIMS = Claims(
    user_id=UserId("anna"),
    session_id=SessionId("0123456789abcdef"),
    version=3,
    role=Role.USER,
    token_id="0f" * 16,
    issued_at=EPOCH,
    expires_at=EPOCH + timedelta(minutes=15),
)
NOW = int(EPOCH.timestamp())
PAYLOAD = {
    "iss": "miauflixd",
    "aud": "miauflixd-api",
    "sub": "anna",
    "sid": "0123456789abcdef",
    "jti": "0f" * 16,
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 900,
    "ver": 3,
    "role": "user",
}
HEADER = {"alg": "HS256", "kid": "1", "typ": "JWT"}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tokens(clock):
    return AccessTokens(keys=[SigningKey(id="1", secret=SECRET)], clock=clock)


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def forged(
    header: object = HEADER,
    payload: object = PAYLOAD,
    *,
    secret: bytes = SECRET,
    by: str = "sha256",
) -> str:
    """Sign as anybody can who has a key; ours, unless another one is given."""
    parts = [
        part if isinstance(part, str) else encoded(json.dumps(part, separators=(",", ":")).encode())
        for part in (header, payload)
    ]
    signed = ".".join(parts)
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), by))}"


def header_of(tokens: AccessTokens) -> str:
    return tokens.issue(CLAIMS).partition(".")[0]


def test_a_token_says_what_was_put_into_it(tokens):
    assert tokens.verify(tokens.issue(CLAIMS)) == CLAIMS


def test_the_same_claims_make_the_same_token(tokens):
    assert tokens.issue(CLAIMS) == tokens.issue(CLAIMS)
    assert tokens.issue(CLAIMS) != tokens.issue(replace(CLAIMS, token_id="1f" * 16))


def test_what_these_tests_forge_is_good_when_nothing_is_wrong_with_it(tokens):
    assert tokens.verify(forged(header_of(tokens))) == CLAIMS


def test_a_token_expires(tokens, clock):
    token = tokens.issue(CLAIMS)
    clock.pass_by(minutes=15, seconds=-1)
    assert tokens.verify(token) == CLAIMS

    clock.pass_by(seconds=1)

    with pytest.raises(TokenExpiredError):
        tokens.verify(token)
    assert tokens.verify(token, expired_is_fine=True) == CLAIMS


def test_a_clock_that_was_set_back_a_little_does_no_harm_but_the_future_is_refused(tokens, clock):
    token = tokens.issue(CLAIMS)

    clock.pass_by(seconds=-5)
    assert tokens.verify(token) == CLAIMS
    clock.pass_by(seconds=-1)
    with pytest.raises(InvalidTokenError, match="future"):
        tokens.verify(token)


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_that_is_not_good_yet_is_refused(tokens, claim):
    with pytest.raises(InvalidTokenError):
        tokens.verify(forged(header_of(tokens), {**PAYLOAD, claim: NOW + 6}))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "typ": "JWT"},
        {"alg": "none", "kid": "1", "typ": "JWT"},
        {"alg": "None", "kid": "1", "typ": "JWT"},
        {"alg": "nOnE", "kid": "1", "typ": "JWT"},
        {"alg": "", "kid": "1", "typ": "JWT"},
        {"alg": None, "kid": "1", "typ": "JWT"},
        {"kid": "1", "typ": "JWT"},
        {"alg": "HS384", "kid": "1", "typ": "JWT"},
        {"alg": "HS512", "kid": "1", "typ": "JWT"},
        {"alg": "RS256", "kid": "1", "typ": "JWT"},
        {"alg": "ES256", "kid": "1", "typ": "JWT"},
        {"alg": "PS256", "kid": "1", "typ": "JWT"},
        {"alg": "EdDSA", "kid": "1", "typ": "JWT"},
        {"alg": ["HS256"], "kid": "1", "typ": "JWT"},
        {"alg": "HS256", "typ": "JWT"},
        {"alg": "HS256", "kid": "2", "typ": "JWT"},
        {"alg": "HS256", "kid": "../../../../dev/null", "typ": "JWT"},
        {"alg": "HS256", "kid": "/dev/null", "typ": "JWT"},
        {"alg": "HS256", "kid": "1' UNION SELECT 'x", "typ": "JWT"},
        {"alg": "HS256", "kid": "1; sleep 10", "typ": "JWT"},
        {"alg": "HS256", "kid": 1, "typ": "JWT"},
        {"alg": "HS256", "kid": ["1"], "typ": "JWT"},
        {"alg": "HS256", "kid": None, "typ": "JWT"},
        {"alg": "HS256", "kid": "1", "typ": "JWT", "crit": ["exp"]},
        {"alg": "HS256", "kid": "1", "typ": "JWT", "crit": []},
        {"alg": "HS256", "kid": "1", "typ": "JWT", "crit": ["b64"], "b64": False},
        {"alg": "HS256", "kid": "1", "typ": "JWT", "zip": "DEF"},
        {"alg": "HS256", "kid": "1", "typ": "JWT", "jku": "https://evil.example/keys"},
        {"alg": "HS256", "kid": "1", "typ": "JWT", "x5u": "https://evil.example/cert"},
        {"alg": "HS256", "kid": "1", "typ": "JWT", "jwk": {"kty": "oct", "k": "AAAA"}},
        {"alg": "HS256", "kid": "1", "typ": "JWE"},
        {"alg": "dir", "enc": "A256GCM", "kid": "1"},
        [],
        "",
        "e30",
    ],
)
def test_a_header_that_is_not_ours_is_refused_even_under_our_signature(tokens, header):
    for secret in (SECRET, b"", b"\0" * 32):
        with pytest.raises(InvalidTokenError, match="not a token of this machine"):
            tokens.verify(forged(header, secret=secret))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256"])
@pytest.mark.parametrize("signature", ["", ".", "AA"])
def test_a_token_without_a_signature_is_refused(tokens, algorithm, signature):
    header = encoded(json.dumps({"alg": algorithm, "kid": "1", "typ": "JWT"}).encode())
    body = tokens.issue(CLAIMS).split(".")[1]
    for ours in (header, header_of(tokens)):
        for token in (f"{ours}.{body}", f"{ours}.{body}.{signature}"):
            with pytest.raises(InvalidTokenError):
                tokens.verify(token)


def test_a_public_key_is_no_secret_to_sign_with(tokens):
    """HS/RS confusion: a verifier that lets the token choose takes the public key for an HMAC's."""
    public = b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"
    for header in (header_of(tokens), {**HEADER, "alg": "RS256"}, HEADER):
        with pytest.raises(InvalidTokenError):
            tokens.verify(forged(header, secret=public))


@pytest.mark.parametrize("by", ["sha1", "sha384", "sha512"])
def test_a_signature_of_another_hash_is_refused(tokens, by):
    with pytest.raises(InvalidTokenError):
        tokens.verify(forged(header_of(tokens), by=by))


def test_a_plain_hash_is_no_signature(tokens):
    signed = tokens.issue(CLAIMS).rpartition(".")[0]
    for content in (signed.encode(), SECRET + signed.encode()):
        with pytest.raises(InvalidTokenError):
            tokens.verify(f"{signed}.{encoded(hashlib.sha256(content).digest())}")


@pytest.mark.parametrize(
    "key",
    [
        bytes(32),
        MASTER_KEY,
        signing_key(bytes(32), purpose="access tokens", key_id="1"),
        signing_key(MASTER_KEY, purpose="access tokens", key_id="2"),
        signing_key(MASTER_KEY, purpose="access token", key_id="s1"),
        signing_key(MASTER_KEY, purpose="something else", key_id="1"),
    ],
)
def test_another_key_is_another_machines(tokens, clock, key):
    other = AccessTokens(keys=[SigningKey(id="1", secret=key)], clock=clock)

    with pytest.raises(InvalidTokenError):
        tokens.verify(other.issue(CLAIMS))


@pytest.mark.parametrize("claim", PAYLOAD)
def test_no_claim_may_be_missing(tokens, claim):
    payload = {name: value for name, value in PAYLOAD.items() if name != claim}

    with pytest.raises(InvalidTokenError):
        tokens.verify(forged(header_of(tokens), payload))


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "somebody else"},
        {"iss": ["miauflixd"]},
        {"iss": ""},
        {"aud": "miauflixd"},
        {"aud": ["miauflixd-api"]},
        {"aud": ["miauflixd-api", "another"]},
        {"aud": None},
        {"role": "root"},
        {"role": "Admin"},
        {"ver": "3"},
        {"ver": None},
        {"sub": 7},
        {"sub": None},
        {"sid": {"$ne": ""}},
        {"exp": "never"},
        {"exp": None},
        {"exp": NOW + 900.5},
        {"exp": 10**30},
        {"exp": -1},
        {"iat": True},
        {"nbf": -(10**12)},
        {"admin": True},
    ],
)
def test_claims_of_another_kind_are_refused_even_under_our_signature(tokens, wrong):
    with pytest.raises(InvalidTokenError, match="not a token of this machine"):
        tokens.verify(forged(header_of(tokens), {**PAYLOAD, **wrong}))


@pytest.mark.parametrize("payload", ["", "e30", [], [PAYLOAD], 1, None])
def test_something_else_than_claims_is_refused(tokens, payload):
    with pytest.raises(InvalidTokenError):
        tokens.verify(forged(header_of(tokens), payload))


def test_another_role_in_the_same_token_is_noticed(tokens):
    header, body, signature = tokens.issue(CLAIMS).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    body = encoded(json.dumps({**claims, "role": "admin"}).encode())

    with pytest.raises(InvalidTokenError):
        tokens.verify(f"{header}.{body}.{signature}")


def test_every_cut_and_every_addition_is_noticed(tokens):
    token = tokens.issue(CLAIMS)
    changed = [
        *(token[:length] for length in range(len(token))),
        *(token[start:] for start in range(1, len(token))),
        *(token + more for more in ("=", "==", ".", "A", " ", "\n", "\0", "!", ".e30")),
        *(more + token for more in (" ", "\n", "Bearer ", ".")),
        token.replace(".", "..", 1),
        token.replace(".", " .", 1),
        token.replace(".", "\n.", 1),
    ]
    for each in changed:
        with pytest.raises(InvalidTokenError):
            tokens.verify(each)


def test_every_changed_character_is_noticed(tokens):
    """The last one too, of which base64 reads four bits only: a token has one spelling."""
    token = tokens.issue(CLAIMS)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place, old in enumerate(token):
        for new in alphabet if place == len(token) - 1 else "Aa_.=+/":
            if new != old:
                with pytest.raises(InvalidTokenError):
                    tokens.verify(token[:place] + new + token[place + 1 :])


def test_a_token_that_is_too_long_is_not_read(tokens):
    payload = {**PAYLOAD, "sub": "a" * 4096}

    with pytest.raises(InvalidTokenError):
        tokens.verify(forged(header_of(tokens), payload))
    with pytest.raises(InvalidTokenError):
        tokens.verify("A" * 10_000_000)


@given(st.text())
def test_no_text_is_a_token(text):
    tokens = AccessTokens(keys=[SigningKey(id="1", secret=SECRET)], clock=Clock())

    with pytest.raises(InvalidTokenError):
        tokens.verify(text)


def test_a_lone_surrogate_as_aiohttp_makes_them_of_odd_bytes_is_no_token(tokens):
    with pytest.raises(InvalidTokenError):
        tokens.verify("\udcff" + tokens.issue(CLAIMS))


def test_after_a_change_of_keys_the_new_one_signs_and_the_old_one_is_still_known(tokens, clock):
    old, new = SigningKey(id="1", secret=SECRET), SigningKey(id="2", secret=b"n" * 32)
    both = AccessTokens(keys=[new, old], clock=clock)

    assert both.verify(tokens.issue(CLAIMS)) == CLAIMS
    assert AccessTokens(keys=[new], clock=clock).verify(both.issue(CLAIMS)) == CLAIMS
    with pytest.raises(InvalidTokenError):
        AccessTokens(keys=[new], clock=clock).verify(tokens.issue(CLAIMS))


def test_a_key_does_not_show_itself():
    assert "secret" not in repr(SigningKey(id="1", secret=b"the secret"))


def test_a_later_version_derives_the_same_keys():
    """Another one would make every token bad that is out when the daemon is updated."""
    assert SECRET.hex() == "6ed238315ed5b87dd61594b76fb7700045ab81d49f8d2aff99c87cb2306c811e"


def test_a_signing_key_is_for_one_purpose_under_one_name():
    keys = {
        MASTER_KEY,
        SECRET,
        signing_key(MASTER_KEY, purpose="access tokens", key_id="2"),
        signing_key(MASTER_KEY, purpose="access tokens1", key_id=""),
        signing_key(MASTER_KEY, purpose="", key_id="access tokens1"),
        signing_key(bytes(32), purpose="access tokens", key_id="1"),
    }

    assert len(keys) == 6
