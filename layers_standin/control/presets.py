"""Presets of faults: named lists of rules, for what clients of any API have to bear."""

from typing import NamedTuple

from layers_standin.engines.table import Record


class Preset(NamedTuple):
    """What it does, in a sentence, and the rules that it adds: bodies of createFault."""

    description: str
    rules: list[Record]


def _page(title: str) -> str:
    """Return the page that a gateway shows by itself."""
    return f"<html>\n<head><title>{title}</title></head>\n<body>\n<center><h1>{title}</h1></center>\n</body>\n</html>\n"


PRESETS: dict[str, Preset] = {
    "flaky-gateway": Preset(
        "Each third request gets a gateway's 502 page, each fifth of the rest its 504, and each seventh of those left "
        "a reset connection; nothing is done for them.",
        [
            {"every": 3, "answer": {"status": 502, "body": _page("502 Bad Gateway")}},
            {"every": 5, "answer": {"status": 504, "body": _page("504 Gateway Time-out")}},
            {"every": 7, "answer": {"resetConnection": True}},
        ],
    ),
    "rate-limited": Preset(
        "Each second request is one too many, and may be sent again after a second.",
        [{"every": 2, "answer": {"code": "RATE_LIMITED", "retryAfter": 1}}],
    ),
    "eventual-job-failure": Preset(
        "Every job begins well, runs its time, and then fails.",
        [{"answer": {"failJob": {"code": "MODEL_ERROR", "message": "The model did not converge."}}}],
    ),
}
