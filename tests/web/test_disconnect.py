"""Waiting for as long as a client does."""

import socket
import threading

import pytest

from layers_standin.web.disconnect import client_stays

HOUR_SECONDS = 3600


@pytest.fixture
def ends():
    here, there = socket.socketpair()
    with here, there:
        yield here, there


@pytest.mark.parametrize("name", ["gunicorn.socket", "werkzeug.socket"])
@pytest.mark.parametrize("unread", [b"", b"the rest of a body"])
@pytest.mark.parametrize("before", [True, False])
def test_a_wait_ends_when_the_client_has_closed_its_connection(ends, name, unread, before):
    here, there = ends
    there.sendall(unread)
    found = []
    waiting = threading.Thread(target=lambda: found.append(client_stays(HOUR_SECONDS, {name: here})), daemon=True)
    if before:
        there.close()
    waiting.start()
    there.close()
    waiting.join(60)
    assert found == [False]


@pytest.mark.parametrize("sent", [b"", b"the next request"])
def test_a_client_that_stays_is_waited_for_to_the_end(ends, sent):
    here, there = ends
    there.sendall(sent)
    assert client_stays(0.01, {"gunicorn.socket": here})


def test_without_a_connection_there_is_a_wait_all_the_same():
    assert client_stays(0.01, {})
