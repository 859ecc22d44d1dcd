from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from windlass.hooks import mask_secret
from windlass.interfaces.secrecy import is_sensitive
from windlass.ports import session_scope
from windlass.protocol import Mask, Verb


@pytest.mark.parametrize("name", ["password", "DB_PASSWORD", "aws_secret_access_key", "api-key", "apiKey", "Token"])
def test_these_names_are_sensitive(name: str) -> None:
    assert is_sensitive(name)


def test_other_names_are_not_unless_the_configuration_says_so() -> None:
    assert not is_sensitive("region_name")
    assert is_sensitive("my_Pin", ["PIN"])


class Session:
    context: Mapping[str, Any] | None = None

    def __init__(self) -> None:
        self.hidden: list[list[str]] = []

    def ask(self, verb: Verb) -> None:
        assert isinstance(verb, Mask)
        self.hidden.append(verb.values)

    def tell(self, verb: Verb) -> None:
        raise AssertionError("what is printed next must not overtake it")


@pytest.mark.parametrize(
    ("secret", "hidden"),
    [
        ("pa55", ["pa55"]),
        (["pa55", ("käse", {"token": 12345}), "pa55"], ["pa55", "käse", "12345"]),
        ({"db_password": "pw", "port": 5432, "inner": {"key": "long enough"}}, ["pw", "long enough"]),
        ({"password": "p" * 8193, "bundle": ["x" * 9000, "12345678"]}, ["12345678"]),
        ({"credential": '{"private_key": "k1"}'}, ['{"private_key": "k1"}', "k1"]),
    ],
)
def test_texts_are_hidden_and_of_a_dict_those_that_may_be_secret(secret: object, hidden: list[str]) -> None:
    session = Session()
    with session_scope(session):
        mask_secret(secret)
    assert session.hidden == [hidden]


@pytest.mark.parametrize("nothing", [None, "", [], {}, {"region": "eu"}])
def test_nothing_is_no_question(nothing: object) -> None:
    session = Session()
    with session_scope(session):
        mask_secret(nothing)
    assert session.hidden == []


@pytest.mark.parametrize("wrong", [b"bytes", ["text", b"bytes"], object()])
def test_what_cannot_be_hidden_is_refused(wrong: object) -> None:
    with session_scope(Session()), pytest.raises(TypeError, match="mask_secret hides texts, and lists and dicts of"):
        mask_secret(wrong)


def test_a_document_is_refused() -> None:
    with (
        session_scope(Session()),
        pytest.raises(ValueError, match="a text of 8193 characters is too long to be hidden"),
    ):
        mask_secret(["p" * 8193])


def test_without_a_task_there_is_nothing_to_hide_it_in() -> None:
    mask_secret("pa55word")
