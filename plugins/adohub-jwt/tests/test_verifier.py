"""A token is let in only if one of our keys has signed it, now, for us; each refusal has its reason."""

from __future__ import annotations

import hmac
import json
import warnings
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from adohub_jwt import keys as lookup
from adohub_jwt.config import JwtConfig
from adohub_jwt.keys import FixedKeys
from adohub_jwt.reading import Key
from adohub_jwt.verifier import MOST_TRIED, Verifier
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwk, jws, jwt

from adohub import CredentialRefused, Credentials, Principal

NOW = 1_800_000_000.0
RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa"})
KEYS: dict[str, Key] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSA),
    "ES256": jwk.ECKey.generate_key("P-256", {"kid": "p256"}),
    "ES384": jwk.ECKey.generate_key("P-384", {"kid": "p384"}),
    "ES512": jwk.ECKey.generate_key("P-521", {"kid": "p521"}),
    "EdDSA": jwk.OKPKey.generate_key("Ed25519", {"kid": "ed"}),
    "Ed25519": jwk.OKPKey.generate_key("Ed25519", {"kid": "ed2"}),
}
SECRET = jwk.OctKey.import_key(b"0123456789abcdef" * 4)
CLAIMS: dict[str, Any] = {
    "iss": "https://issuer.example",
    "aud": "adohub",
    "sub": "anna",
    "exp": NOW + 60,
    "roles": ["reader", "writer"],
}


def public(key: Key) -> Key:
    return jwk.import_key(key.as_dict(private=False))


def verifier(*keys: Key, **changed: Any) -> Verifier:
    """Of a hub that wants tokens of CLAIMS' issuer, with these public keys."""
    wanted: dict[str, Any] = {
        "issuer": CLAIMS["iss"],
        "audience": ["adohub"],
        "jwks_url": "https://issuer.example/keys",
    }
    config = JwtConfig(**{**wanted, **changed})
    return Verifier(
        config, FixedKeys([public(key) for key in keys or (RSA, *list(KEYS.values())[6:])]), lambda: NOW
    )


def with_secret(tmp_path: Path, **changed: Any) -> Verifier:
    file = tmp_path / "secret"
    file.write_bytes(b"0123456789abcdef" * 4 + b"\n")
    config = JwtConfig(issuer=CLAIMS["iss"], audience=["adohub"], secret_file=str(file), **changed)
    return Verifier(config, config.keys, lambda: NOW)


def token(
    algorithm: str = "ES256", key: Key | None = None, header: dict[str, Any] | None = None, **changed: Any
) -> str:
    """A good one, but for what is `changed`; a claim that is None is left out."""
    signing = key or KEYS[algorithm]
    claims = {name: value for name, value in {**CLAIMS, **changed}.items() if value is not None}
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    said = {"alg": algorithm, "kid": signing.kid, **(header or {})}
    said = {name: value for name, value in said.items() if value is not None}
    with warnings.catch_warnings(action="ignore"):
        return jwt.encode(said, claims, signing, registry=registry)


def part(value: object) -> str:
    return (
        urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode())
        .rstrip(b"=")
        .decode()
    )


async def reason(verifier: Verifier, shown: str) -> str:
    with pytest.raises(CredentialRefused) as refused:
        await verifier.authenticate({"token": shown})
    assert refused.value.code == "UNAUTHORIZED"
    assert shown not in refused.value.reason
    return refused.value.reason


# ── good ones ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("algorithm", KEYS)
async def test_whoever_shows_a_good_token_is_who_it_says(algorithm: str) -> None:
    found = await verifier().authenticate({"token": token(algorithm)})
    assert found == Principal("anna", roles=["reader", "writer"], expires_at=NOW + 70)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_a_shared_secret_does_as_well(algorithm: str, tmp_path: Path) -> None:
    shown = token(algorithm, SECRET, {"kid": None})
    assert await with_secret(tmp_path).authenticate({"token": shown}) is not None


async def test_a_token_that_names_no_key_is_tried_with_all() -> None:
    bare = jwt.encode({"alg": "RS256"}, CLAIMS, RSA)
    assert await verifier().authenticate({"token": bare}) is not None


@pytest.mark.parametrize("audience", [["adohub"], ["other", "adohub"], "adohub"])
async def test_it_may_be_for_others_as_well(audience: Any) -> None:
    assert await verifier().authenticate({"token": token(aud=audience)}) is not None


async def test_more_in_its_header_does_not_matter() -> None:
    assert (
        await verifier().authenticate({"token": token(header={"typ": "at+jwt", "x5t": "x", "own": 1})})
        is not None
    )


_JOE = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
_SIGNATURE = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
EXAMPLES = {  # RFC 7515, appendices A.1 and A.3
    "HS256": (
        f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{_JOE}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        {
            "kty": "oct",
            "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        },
    ),
    "ES256": (
        f"eyJhbGciOiJFUzI1NiJ9.{_JOE}.{_SIGNATURE}",
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        },
    ),
}


@pytest.mark.parametrize("algorithm", EXAMPLES)
async def test_the_examples_of_the_rfc_are_good_until_they_expire(algorithm: str, tmp_path: Path) -> None:
    shown, key = EXAMPLES[algorithm]
    file, given = tmp_path / "key", jwk.import_key({**key})
    is_secret = isinstance(given, jwk.OctKey)
    file.write_bytes(given.raw_value if isinstance(given, jwk.OctKey) else json.dumps(key).encode())
    config = JwtConfig(
        issuer="joe",
        audience=["*"],
        name_claim="iss",
        secret_file=str(file) if is_secret else "",
        key_file="" if is_secret else str(file),
    )
    for now, good in ((1300819380, True), (1300819391, False)):
        ours = Verifier(config, config.keys, lambda: float(now))  # noqa: B023 - called in this round
        if good:
            assert await ours.authenticate({"token": shown}) == Principal("joe", expires_at=1300819390)
        else:
            assert "expired 11 s ago" in await reason(ours, shown)


# ── what is not ours ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"token": ""},
        {"token": None},
        {"token": b"a.b.c"},
        {"token": "ado_0123456789"},
        {"token": "a.b"},
        {"token": "a.b.c"},
        {"token": f"{part([1])}.{part({})}.x"},
        {"token": f"{part({'alg': 5})}.{part({})}.x"},
        {"token": f"{part({'alg': 'dir', 'enc': 'A256GCM'})}..a.b.c"},
    ],
)
async def test_what_is_no_jwt_is_left_to_others(credentials: Credentials) -> None:
    assert await verifier().authenticate(credentials) is None


async def test_another_issuer_s_is_left_to_others() -> None:
    assert await verifier().authenticate({"token": token(iss="https://another.example")}) is None


# ── bad ones ─────────────────────────────────────────────────────────────────────────────────────────────

OTHER = jwk.ECKey.generate_key("P-256", {"kid": "p256"})

BAD: dict[str, tuple[str, str]] = {
    "of another key with the same name": (token(key=OTHER), "signature is not good"),
    "of a key that is not known": (token(header={"kid": "nobody"}), "a key that is not known"),
    "expired": (token(exp=NOW - 22), "expired 22 s ago"),
    "expired for ages": (token(exp=-(10**400)), "expired"),
    "not valid yet": (token(nbf=NOW + 11), "claim nbf is not accepted"),
    "made in the future": (token(iat=NOW + 11), "claim iat is not accepted"),
    "for another service": (token(aud="billing"), "claim aud is not accepted"),
    "for nobody": (token(aud=None), "no claim aud"),
    "for ever": (token(exp=None), "no claim exp"),
    "of no issuer": (token(iss=None), "no claim iss"),
    "of nobody": (token(sub=None), "the claim sub is no name"),
    "of a number": (token(sub=5), "sub"),
    "with a strange end": (token(exp="tomorrow"), "claim exp is not accepted"),
    "with an endless end": (token(exp=1e400), "claim exp is not accepted"),
    "with an end beyond all measure": (token(exp=10**400), "exp is beyond all measure"),
    "for a logout": (token(header={"typ": "logout+jwt"}), "for something else"),
    "of an odd type": (f"{part({'alg': 'ES256', 'typ': 5})}.{part(CLAIMS)}.x", "for something else"),
    "with what must be understood": (
        f"{part({'alg': 'ES256', 'crit': ['own'], 'own': 1})}.{part(CLAIMS)}.{part(b'x' * 64)}",
        "cannot be read",
    ),
    "with a kid that is no text": (f"{part({'alg': 'ES256', 'kid': {}})}.{part(CLAIMS)}.x", "kid is no text"),
    "too long": (token(more="x" * 9000), "longer than 8192"),
}


@pytest.mark.parametrize(("shown", "words"), BAD.values(), ids=BAD.keys())
async def test_a_bad_one_is_refused_for_the_reason_that_is_logged(shown: str, words: str) -> None:
    assert words in await reason(verifier(), shown)


async def test_the_peer_is_told_only_that_it_has_expired() -> None:
    with pytest.raises(CredentialRefused) as expired:
        await verifier().authenticate({"token": token(exp=NOW - 60)})
    assert expired.value.message == "this credential has expired"
    with pytest.raises(CredentialRefused) as forged:
        await verifier().authenticate({"token": token(key=OTHER)})
    assert forged.value.message == "this credential is not accepted"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
async def test_a_token_without_a_signature_is_worth_nothing(algorithm: str) -> None:
    for signature in ("", "x"):
        shown = f"{part({'alg': algorithm})}.{part(CLAIMS)}.{signature}"
        assert "not accepted" in await reason(verifier(), shown)


async def test_a_public_key_is_nobody_s_secret() -> None:
    """The classic: what everybody may know is used as the secret of HS256."""
    signed = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{part(CLAIMS)}"
    for secret in (RSA.as_pem(private=False), RSA.as_pem(private=False).rstrip()):
        signature = hmac.digest(secret, signed.encode(), "sha256")
        assert "not accepted" in await reason(verifier(RSA), f"{signed}.{part(signature)}")


async def test_an_algorithm_that_is_not_listed_is_not_accepted() -> None:
    assert "not accepted" in await reason(verifier(algorithms=["ES256"]), token("RS256"))


async def test_the_key_in_the_header_is_not_believed() -> None:
    own = jwk.ECKey.generate_key("P-256", {"kid": "own"})
    shown = token(key=own, header={"jwk": own.as_dict(private=False), "jku": "https://evil.example/keys"})
    assert "not known" in await reason(verifier(), shown)


@pytest.mark.parametrize(("late", "good"), [(9.0, True), (11.0, False)])
async def test_clocks_may_differ_by_the_leeway_and_no_more(late: float, good: bool) -> None:
    edges: list[dict[str, Any]] = [{"exp": NOW - late}, {"nbf": NOW + late}, {"iat": NOW + late}]
    for claims in edges:
        if good:
            assert await verifier().authenticate({"token": token(**claims)}) is not None
        else:
            await reason(verifier(), token(**claims))


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_token_that_was_changed_anywhere_is_never_let_in(data: st.DataObject) -> None:
    import trio  # noqa: PLC0415 - hypothesis runs no coroutines

    good = GOOD[data.draw(st.sampled_from(sorted(GOOD)))]
    at = data.draw(st.integers(0, len(good) - 1))
    change = data.draw(st.sampled_from("abcXYZ019-_.=+/ \\u0000é"))
    kind = data.draw(st.sampled_from(["replace", "insert", "cut", "drop"]))
    changed = {
        "replace": good[:at] + change + good[at + 1 :],
        "insert": good[:at] + change + good[at:],
        "cut": good[:at],
        "drop": good[:at] + good[at + 1 :],
    }[kind]

    async def authenticate() -> Principal | None:
        try:
            return await ALL.authenticate({"token": changed})
        except CredentialRefused:
            return None

    found = trio.run(authenticate)
    if found is not None:  # base64 has unused bits at its end: such a change changes nothing
        assert _decoded(changed) == _decoded(good)


def _decoded(shown: str) -> list[bytes]:
    from base64 import urlsafe_b64decode  # noqa: PLC0415

    return [urlsafe_b64decode(text + "=" * (-len(text) % 4)) for text in shown.split(".")]


GOOD = {algorithm: token(algorithm) for algorithm in ("RS256", "ES256", "EdDSA")}
ALL = verifier()


# ── how often ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_good_token_that_is_shown_again_is_not_checked_again_but_for_its_end() -> None:
    now = [NOW]
    config = JwtConfig(audience=["adohub"], jwks_url="https://issuer.example/keys")
    ours = Verifier(config, FixedKeys([public(RSA)]), lambda: now[0])
    shown = token("RS256", exp=NOW + 30)
    for _ in range(100):
        assert await ours.authenticate({"token": shown}) is not None
    assert ours.checked == 1
    now[0] = NOW + 41
    for _ in range(100):
        assert "expired 11 s ago" in await reason(ours, shown)
    assert ours.checked == 2


async def test_a_bad_token_that_is_shown_again_and_again_is_checked_once_in_a_while() -> None:
    now = [NOW]
    ours = Verifier(verifier()._config, FixedKeys([public(RSA)]), lambda: now[0])
    forged = token("RS256", jwk.RSAKey.generate_key(2048, {"kid": "rsa"}))
    for _ in range(100):
        assert "signature is not good" in await reason(ours, forged)
    assert ours.checked == 1
    now[0] += 6
    assert "signature is not good" in await reason(ours, forged)
    assert ours.checked == 2
    now[0] -= 60  # the clock was set
    assert "signature is not good" in await reason(ours, forged)
    assert ours.checked == 3


async def test_a_token_of_a_key_that_was_taken_out_is_refused_though_it_is_remembered(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(RSA.as_dict(private=False)))
    config = JwtConfig(issuer=CLAIMS["iss"], audience=["adohub"], key_file=str(file))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "LOOK_S", 0.0)
        ours = Verifier(config, config.keys, lambda: NOW)
        assert await ours.authenticate({"token": token("RS256")}) is not None
        file.write_text(json.dumps(KEYS["ES256"].as_dict(private=False)))
        assert "not known" in await reason(ours, token("RS256"))
        assert await ours.authenticate({"token": token("ES256")}) is not None
        file.write_text(json.dumps({"keys": [each.as_dict(private=False) for each in (RSA, KEYS["ES256"])]}))
        assert await ours.authenticate({"token": token("RS256")}) is not None


async def test_of_many_keys_that_do_not_fit_none_is_in_the_way_of_the_one_that_does() -> None:
    crowd = [jwk.RSAKey.import_key({**RSA.as_dict(private=False), "kid": f"rsa-{n}"}) for n in range(50)]
    ours = Verifier(verifier()._config, FixedKeys([*crowd, public(KEYS["ES256"])]), lambda: NOW)
    assert await ours.authenticate({"token": jwt.encode({"alg": "ES256"}, CLAIMS, KEYS["ES256"])}) is not None
    assert ours.checked == 1
    forged = jwt.encode({"alg": "RS256"}, CLAIMS, jwk.RSAKey.generate_key(2048))
    assert "not good" in await reason(ours, forged)
    assert ours.checked == 1 + MOST_TRIED
