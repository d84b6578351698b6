"""What is posted, and a receiver that is down for a day, without waiting for either."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest


def create_influencer(layers):
    project = layers.call("POST", "/v1/projects", {"name": "Spring", "timezone": "UTC"})
    return layers.call("POST", f"/v1/projects/{project['id']}/influencers", {"name": "Rui"})


def test_the_end_of_a_job_is_told(layers):
    layers.clock.freeze("2026-04-18T09:00:00Z")
    inbox = layers.webhooks.inbox("job.completed")  # a receiver that the stand-in has for this test
    job = create_influencer(layers)
    layers.webhooks.flush()
    assert inbox.events() == []

    layers.clock.advance("PT1M")
    layers.webhooks.flush()

    (message,) = inbox.messages()
    assert message["isVerified"]
    assert (message["event"]["type"], message["event"]["data"]["jobId"]) == ("job.completed", job["jobId"])


@pytest.fixture
def receiver():
    """Yield a receiver of our own: it says 503, and notes what came. Yours would be your application."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            came.append(self.headers["X-Layers-Event-Id"])
            self.send_response(503)
            self.end_headers()

    came = []
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/webhooks", came
        server.shutdown()


def test_an_event_is_tried_eight_times_in_32_hours(layers, receiver):
    url, came = receiver
    layers.clock.freeze("2026-04-18T09:00:00Z")
    layers.webhooks.endpoint(url, "job.completed")
    create_influencer(layers)

    layers.clock.advance("PT32H")
    layers.webhooks.flush()

    assert len(came) == 8
    assert len(set(came)) == 1  # the same event each time: keep the ids that you have seen
