"""Removes secrets from what is printed or stored."""

from __future__ import annotations

import os
import re

PASSWORD = re.compile(r"(\b[a-zA-Z][\w+.-]*://[^\s/:@'\"]*):[^\s/@'\"]+@")
"""A URI's user and password. A slash in a password must be written %2F in a URI."""

SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_KEY", re.IGNORECASE)
"""Names of environment variables whose values are secret."""

SHORTEST = 8
"""Length of the shortest value that is removed. Shorter values are likely to be ordinary words."""


def redacted(text: str) -> str:
    """The text without passwords in URIs, and without the values of secret environment variables."""
    text = PASSWORD.sub(r"\1:***@", text)
    for name, value in os.environ.items():
        if len(value) >= SHORTEST and SECRET_NAME.search(name) and value in text:
            text = text.replace(value, "***")
    return text


def has_password(uri: str) -> bool:
    """Whether a URI names a password."""
    return PASSWORD.search(uri) is not None
