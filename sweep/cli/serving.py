"""A web server for this machine alone: pages of a results directory, to be looked at with a browser."""

from __future__ import annotations

import hashlib
import ipaddress
import sys
import traceback
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from sweep.errors import InputError

LOOPBACK = "127.0.0.1"

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""What every answer says: it is looked at again each time, by this site alone."""

Page = Callable[[str], str | None]
"""A path without its first slash -> the page; None if there is none."""


class Server(ThreadingHTTPServer):
    """Answers requests for pages on the loopback interface, each in a thread of its own.

    Threads, because browsers open connections before they have a request. Those of requests that have begun end with
    the process.
    """

    def __init__(self, page: Page, port: int = 0) -> None:
        """Listen on a port; 0: on a free one.

        Raises:
            OSError: the port is not free.
        """
        super().__init__((LOOPBACK, port), _Handler)
        self.page = page

    @property
    def url(self) -> str:
        """Where the first page is."""
        return f"http://{LOOPBACK}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing where a browser has closed its connection; print what else went wrong."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            traceback.print_exc()


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD, and only requests that name this machine.

    A page of another site may let its own name lead to this machine, and so ask here as if it were asking its own
    server (DNS rebinding); but its requests name that site in the header Host.
    """

    server: Server
    timeout = 30
    server_version, sys_version = "unlearn-sweep", ""

    def do_GET(self) -> None:
        if not is_loopback(self.headers.get("Host", "")):
            return self._answer(HTTPStatus.FORBIDDEN, b"The header Host does not name this machine.\n")
        path = unquote(urlsplit(self.path).path).removeprefix("/") or "index.html"
        try:
            page = self.server.page(path)
        except (InputError, OSError) as error:
            return self._answer(HTTPStatus.SERVICE_UNAVAILABLE, f"The results cannot be read: {error}\n".encode())
        except Exception:
            traceback.print_exc()
            why = b"A bug of this program; its traceback is where it was started. Results are not touched.\n"
            return self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, why)
        if page is None:
            return self._answer(HTTPStatus.NOT_FOUND, b"There is no such page.\n")
        content = page.encode()
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        same = self.headers.get("If-None-Match") == tag
        return self._answer(HTTPStatus.NOT_MODIFIED if same else HTTPStatus.OK, b"" if same else content, tag)

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, status: HTTPStatus, content: bytes, tag: str | None = None) -> None:
        self.send_response(status)
        plain = {} if tag else {"Content-Type": "text/plain; charset=utf-8"}
        for name, value in (HEADERS | plain | ({"ETag": tag} if tag else {})).items():
            self.send_header(name, value)
        if status is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Print no line for each request."""


def is_loopback(host: str) -> bool:
    """Whether the header Host names this machine, whatever the port: it may be forwarded."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
