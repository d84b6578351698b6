"""Receive webhooks: print a line for each event that is signed, young and new.

LAYERS_WEBHOOK_SECRET=whsec_... python examples/receive_webhooks.py [port]
"""

import hmac
import json
import os
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ.get("LAYERS_WEBHOOK_SECRET") or sys.exit("Set LAYERS_WEBHOOK_SECRET to the signingSecret first.")
MAX_AGE_SECONDS = 5 * 60
handled: set[str] = set()  # a real receiver keeps them in its database, for as long as events are retried


def why_refused(header: str, body: bytes) -> str | None:
    """Return the reason not to believe a body; None if the signature, or one of two during a rotation, is ours."""
    match = re.fullmatch(r"t=([0-9]{1,12})((?:,v1=[0-9a-f]{64})+)", header)
    if match is None:
        return "no signature"
    expected = hmac.digest(SECRET.encode(), match[1].encode() + b"." + body, "sha256").hex()
    if not any(hmac.compare_digest(expected, given) for given in match[2].split(",v1=")):
        return "wrong signature"
    return "too old" if abs(time.time() - int(match[1])) > MAX_AGE_SECONDS else None


class Receiver(BaseHTTPRequestHandler):
    timeout = 10  # seconds, so that a sender who falls silent holds no thread

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 1 << 20))  # the raw bytes are signed
        reason = why_refused(self.headers.get("X-Layers-Signature", ""), body)
        if reason:
            print("refused:", reason, flush=True)
        elif (event := json.loads(body))["id"] in handled:  # at least once means sometimes twice
            print("again:", event["id"], flush=True)
        else:
            handled.add(event["id"])
            print(event["type"], event["id"], json.dumps(event["data"]), flush=True)
        self.send_response(400 if reason else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print no access log: the events are the output."""


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 3000), Receiver)
print(f"listens on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
