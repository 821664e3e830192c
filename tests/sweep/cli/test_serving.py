"""The server of pages: to whom it answers, and what."""

import http.client
import socket
import threading

import pytest

from sweep.cli.serving import Server, is_loopback
from sweep.errors import InputError


def page(path):
    if path == "bug.html":
        raise ZeroDivisionError
    if path == "away.html":
        raise OSError("the storage is away")
    if path == "bad.html":
        raise InputError("no such name")
    return {"index.html": "<h1>first</h1>", "trials/ä b.html": "<h1>other</h1>"}.get(path)


@pytest.fixture(scope="module")
def port():
    with Server(page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def ask(port, path="/", method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer, answer.read().decode()


def test_pages_are_found_by_their_paths(port):
    assert ask(port)[1] == "<h1>first</h1>"
    assert ask(port, "/index.html?reload")[1] == "<h1>first</h1>"
    assert ask(port, "/trials/%C3%A4%20b.html")[1] == "<h1>other</h1>"


@pytest.mark.parametrize(
    ("path", "status"), [("/none", 404), ("/away.html", 503), ("/bad.html", 503), ("/bug.html", 500)]
)
def test_what_is_no_page_is_said_in_a_line(port, path, status, capsys):
    answer, text = ask(port, path)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "text/plain; charset=utf-8")
    assert text.count("\n") == 1
    assert ("ZeroDivisionError" in capsys.readouterr().err) == (status == 500)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "", "["])
def test_requests_that_name_another_machine_are_refused(port, host):
    answer, text = ask(port, Host=host)
    assert (answer.status, "first" in text) == (403, False)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9000", "127.0.0.1:1", "127.0.0.2", "[::1]:80"])
def test_this_machine_has_several_names(host):
    assert is_loopback(host)


def test_only_this_machine_is_listened_to(port):
    with Server(page) as server:
        assert server.socket.getsockname()[0] == "127.0.0.1"
        assert server.url == f"http://127.0.0.1:{server.server_address[1]}/"


def test_a_page_that_has_not_changed_is_not_sent_again(port):
    answer, _ = ask(port)
    again, text = ask(port, If_None_Match=answer.headers["ETag"])
    assert (again.status, text) == (304, "")
    assert ask(port, If_None_Match='"other"')[0].status == 200


def test_head_has_no_content_and_nothing_else_is_answered(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"HEAD / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.0 200 ")
    assert answer.endswith(b"Content-Length: 14\r\n\r\n")
    assert ask(port, method="POST")[0].status == 501


def test_pages_are_for_this_site_alone(port):
    headers = ask(port)[0].headers
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Frame-Options"] == "DENY"


def test_a_connection_without_a_request_holds_up_nobody(port):
    waiting = http.client.HTTPConnection("127.0.0.1", port)
    waiting.connect()
    assert ask(port)[0].status == 200
    waiting.close()
