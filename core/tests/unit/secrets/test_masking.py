"""Masking: no secret survives in any of its forms, wherever the text was cut."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.registry import Catalog, ConnectionField, ConnectionType, Provider, Registry
from windlass.secrets.masking import (
    MASK,
    Masker,
    MaskingStream,
    redact,
    secrets_of_fields,
    secrets_of_variable,
)

SECRETS = ["hunter2pass", "p@ss/w:rd+%&=", 'dou"ble\\slash', "pässwörd", "a?b>c~d|e^f"]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_hidden_in_every_form(secret: str) -> None:
    masker = Masker([secret])
    forms = [
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote(secret, safe="").lower() if secret == "p@ss/w:rd+%&=" else quote(secret),
        quote_plus(secret),
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        json.dumps(json.dumps({"a": secret})),
        repr(secret),
    ]
    for form in forms:
        assert masker.mask(f"before {form} behind").replace('"', "").replace("'", "").replace("\\", "") in {
            f"before {MASK} behind",
            f"before {{a: {MASK}}} behind",
        }


@given(st.sampled_from(SECRETS), st.binary(max_size=12), st.binary(max_size=12))
def test_a_secret_is_hidden_in_base64_of_any_text_around_it(secret: str, before: bytes, behind: bytes) -> None:
    raw = before + secret.encode() + behind
    masker = Masker([secret])
    for encoded in (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()):
        masked = masker.mask(encoded)
        assert MASK in masked
        # What is left decodes to nothing of the secret but the bits that share a character with a neighbour.
        assert len(encoded) - len(masked) + len(MASK) >= len(secret.encode()) * 8 // 6 - 2


@given(st.lists(st.text(min_size=3, max_size=8), min_size=1, max_size=4), st.data())
def test_the_cuts_between_pieces_change_nothing_that_matters(secrets: list[str], data: st.DataObject) -> None:
    parts = data.draw(st.lists(st.sampled_from([*secrets, "x", " ", secrets[0][:2]]), max_size=8))
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    masker = Masker(secrets)
    stream = MaskingStream(masker)
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    shown = "".join(stream.feed(piece) for piece in pieces) + stream.flush()
    if MASK not in text and not any(secret in MASK for secret in secrets):
        for secret in secrets:
            if secret in text:
                assert MASK in shown
            # A mask beside plain text may spell a secret by chance, if that holds asterisks.
            assert secret not in shown or "*" in secret


def test_a_stream_holds_back_only_what_may_become_a_secret() -> None:
    stream = MaskingStream(Masker(["hunter2pass"]))
    assert stream.feed("plain text\n") == "plain text\n"
    assert stream.feed("it is hunter2") == "it is "
    assert stream.feed("no\n") == "hunter2no\n"
    assert stream.feed("it is hunter2") == "it is "
    assert stream.feed("pass\n") == "***\n"
    assert stream.feed("hunter") == ""
    assert stream.flush() == "hunter"


def test_a_longer_secret_wins_over_one_that_it_contains() -> None:
    assert Masker(["pass", "password1"]).mask("password1 pass") == "*** ***"
    stream = MaskingStream(Masker(["pass", "password1"]))
    assert stream.feed("pass") + stream.feed("word1 pass ") + stream.flush() == "*** *** "


def test_a_secret_of_several_lines_is_hidden_line_by_line() -> None:
    masker = Masker(["-----BEGIN KEY-----\nMIIEabcd\nefghijkl\n-----END KEY-----"])
    assert masker.mask("MIIEabcd") == MASK
    assert masker.mask("  efghijkl\n") == "  ***\n"


def test_a_secret_may_be_learnt_later() -> None:
    masker = Masker()
    assert not masker
    assert masker.mask("hunter2pass") == "hunter2pass"
    masker.add("hunter2pass", "", "ab")
    assert masker
    assert masker.mask("hunter2pass ab") == "*** ab"
    assert masker.mask_data({"k": ["hunter2pass", 1, None], "hunter2pass": 2}) == {"k": [MASK, 1, None], MASK: 2}


def test_a_masked_text_stays_masked() -> None:
    masker = Masker(["hunter2pass", "***"])
    once = masker.mask("x hunter2pass")
    assert masker.mask(once) == once == "x ***"


def test_the_secrets_of_a_connection() -> None:
    extra = {"region": "eu", "token": "tok1", "inner": {"api_key": ["k1", 12345], "x": "y"}}
    assert secrets_of_fields({"password": "pw1", "extra": json.dumps(extra)}) == ["pw1", "tok1", "k1", "12345"]
    assert secrets_of_fields({"password": None, "extra": None}) == []
    key_file = {"keyfile_dict": json.dumps({"private": "line1\nline2"})}
    assert "line1\nline2" in secrets_of_fields({"extra": json.dumps(key_file)})


def test_a_type_of_connection_declares_more_secrets() -> None:
    fields = (ConnectionField(name="login", secret=True), ConnectionField(name="pin", secret=True))
    kind = ConnectionType(conn_type="vault", fields=(*fields, ConnectionField(name="region")))
    plugins = Registry(lambda: Catalog((Provider(name="vault", connection_types=(kind,)),)))
    given = {"conn_type": "vault", "login": "role", "host": "h", "extra": '{"pin": 1234, "region": "eu"}'}
    assert secrets_of_fields(given, plugins=plugins) == ["role", "1234"]
    assert secrets_of_fields(given | {"conn_type": "other"}, plugins=plugins) == []


def test_the_secrets_of_a_variable() -> None:
    assert secrets_of_variable("db_password", "pw1") == ["pw1"]
    assert secrets_of_variable("settings", '{"region": "eu", "password": "pw1"}') == ["pw1"]
    assert secrets_of_variable("settings", "[not json") == []
    assert secrets_of_variable("greeting", "hello") == []


def test_redact_hides_values_by_their_keys() -> None:
    data = {"password": "a", "nested": [{"token": {"x": 1}}], "region": "eu", "secret": None}
    assert redact(data) == {"password": MASK, "nested": [{"token": MASK}], "region": "eu", "secret": None}
