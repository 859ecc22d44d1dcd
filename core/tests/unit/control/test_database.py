"""A database's URL as people see it."""

from __future__ import annotations

import pytest

from windlass.control.database import shown


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("sqlite:////home/windlass.db", "sqlite:////home/windlass.db"),
        ("postgresql://ada:s3cret@h:5432/flows", "postgresql://ada:***@h:5432/flows"),
        ("postgresql://ada:p%40ss@h/flows?sslmode=require", "postgresql://ada:***@h/flows?sslmode=require"),
        ("postgresql://ada@h/flows?password=s3cret&port=1", "postgresql://ada@h/flows?password=***&port=1"),
        ("mysql://ada:s3cret@h/flows?ssl_key_password=s3cret", "mysql://ada:***@h/flows?ssl_key_password=***"),
        ("postgresql:///flows?host=/run/pg&password=s3cret", "postgresql:///flows?host=/run/pg&password=***"),
    ],
)
def test_a_url_is_shown_without_its_password_wherever_it_stands(url: str, seen: str) -> None:
    assert shown(url) == seen
