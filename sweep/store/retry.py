"""Retries for storage that fails now and then, for about a quarter of a minute."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from typing import TypeVar

import tenacity

T = TypeVar("T")

LASTING = re.compile(
    r"NO_SUCH_BUCKET|ACCESS_DENIED|INVALID_ACCESS_KEY|INVALID_CLIENT_TOKEN|SIGNATURE|HTTP status 40[0134]"
)
"""What object stores say of requests that would fail every time."""

PASSING = {errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET, errno.EHOSTDOWN}
"""Errors of mounts that may pass."""

FIRST_WAIT = 0.5
"""Seconds before the second attempt."""


def steady(action: Callable[[], T]) -> T:
    """What `action` returns. Try again while it fails for a reason that may pass.

    Raises:
        OSError: as `action` does, at once or after the last attempt.
    """
    try:
        return action()
    except OSError as error:
        if not may_pass(error):
            raise
    tenacity.sleep(FIRST_WAIT)
    return AGAIN(action)


def may_pass(error: BaseException) -> bool:
    """Whether an action that failed with this error may succeed later."""
    if not isinstance(error, OSError) or isinstance(error, FileNotFoundError):
        return False
    if error.errno is not None:
        return error.errno in PASSING
    return LASTING.search(str(error)) is None


AGAIN = tenacity.Retrying(
    retry=tenacity.retry_if_exception(may_pass),
    wait=tenacity.wait_exponential(multiplier=2 * FIRST_WAIT, max=16) + tenacity.wait_random(0, FIRST_WAIT),
    stop=tenacity.stop_after_attempt(5),
    reraise=True,
)
"""Five more attempts, about 1, 2, 4 and 8 seconds apart. S3's own client tries for six seconds in each."""
