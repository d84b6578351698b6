"""The service is killed, stopped and starved of disk under load: what it acknowledged stays, and nothing half done does.

`CRASH_ROUNDS` and `CRASH_SEED` in the environment make the torture longer, or the same as one that failed.
"""

import os
import random
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from conftest import AVA, AVA_PATH
from engines.journal import JOURNAL
from servers import STAYS_OPEN, Server, eventually, opened, seeded, serving
from store import Record, Store, influencer_view

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "30"))
SEED = int(os.environ.get("CRASH_SEED", str(time.time_ns() % 10**9)))
WRITERS = 4
ASSETS = [
    "asset_01HXZ9K1M3N5P7Q9R1S3T5V7W9", "asset_01HXZ9M2N4P6Q8R0S2T4V6W8X0", "asset_01HXZ9N3P5Q7R9S1T3V5W7X9Y1",
    "asset_01HXZB5A7B9C1D3E5F7G9H1J3K", "asset_01HXZB6N8P0Q2R4S6T8V0W2X4Y", "asset_01HXZC8Q0R2S4T6V8W0X2Y4Z6A",
]  # fmt: skip


class State(NamedTuple):
    """What the writes of this module touch in an influencer; name and vibe always carry the same number."""

    name: str = "0"
    vibe: str | None = "0"
    assets: tuple[str, ...] = ()
    deletion: str | None = None


class Write(NamedTuple):
    """A request that changes one influencer, and the state that it leads to."""

    influencer: str
    method: str
    suffix: str
    body: Record
    after: State

    @property
    def path(self) -> str:
        return f"/v1/influencers/{self.influencer}{self.suffix}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Idempotency-Key": f"{self.method} to {self.after}"}


def patches(influencer: str) -> Iterator[Write]:
    """Yield writes to an influencer that has had none: patches of two fields that agree, for ever."""
    number = 0
    while True:
        number += 1
        text = str(number)
        yield Write(influencer, "PATCH", "", {"name": text, "vibe": text}, State(text, text))


def lives(prefix: str) -> Iterator[Write]:
    """Yield writes to one influencer after the other: patched, two assets attached, patched, … and deleted."""
    number = 0
    while True:
        number += 1
        yield from life(f"{prefix}-{number}")


def life(influencer: str) -> Iterator[Write]:
    for stage in range(3):
        text = str(stage + 1)
        had, pair = tuple(ASSETS[: 2 * stage]), ASSETS[2 * stage : 2 * stage + 2]
        yield Write(influencer, "PATCH", "", {"name": text, "vibe": text}, State(text, text, had))
        state = State(text, text, (*had, *pair))
        yield Write(influencer, "POST", "/reference-images", {"assetIds": pair}, state)
    yield Write(influencer, "DELETE", "", {"reason": "the end"}, state._replace(deletion="the end"))


class Writer:
    """A client that makes one write after the other and knows what it was told.

    `pending` is the write it has sent and heard nothing of; it sends that one first when it comes back.
    """

    def __init__(self, writes: Iterator[Write]) -> None:
        self.writes = writes
        self.acknowledged: dict[str, State] = {}
        self.pending: Write | None = None
        self.has_effect: bool | None = None  # of the pending write, if somebody has looked
        self.count = 0

    def write_until_cut_off(self, url_of: Callable[[], str]) -> None:
        with httpx.Client(base_url=url_of(), headers=dict(DEMO), timeout=60) as client, suppress(httpx.TransportError):
            while True:
                self.write(client)

    def write(self, client: httpx.Client) -> None:
        write = self.pending = self.pending or next(self.writes)
        reply = client.request(write.method, write.path, json=write.body, headers=write.headers)
        assert reply.status_code == 200, reply.text
        if self.has_effect is not None:
            assert (reply.headers.get("Idempotent-Replayed") == "true") == self.has_effect
        self.acknowledged[write.influencer] = write.after
        self.pending = self.has_effect = None
        self.count += 1
