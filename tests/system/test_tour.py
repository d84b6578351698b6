"""`docs/tour.md` is walked through as a reader would, with two terminals, and what it quotes is where it says."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs_helpers import (
    EXAMPLE_URL,
    console_blocks,
    console_steps,
    exported,
    path_with_our_programs,
    settled,
)
from servers import PATIENCE_SECONDS, ROOT, Server, environment

pytestmark = pytest.mark.slow

DOCS = ROOT / "docs"
TOUR = (DOCS / "tour.md").read_text("utf-8")
EXAMPLE_FOLDER = "/tmp/tour"

ONLY_HERE = [
    (re.compile(r"\r|^.*\bKilled\b.*\n", re.MULTILINE), ""),  # each shell says it in its own way
    (re.compile(r"^Date: .*$", re.MULTILINE), "Date: <date>"),
    (re.compile(r'(?<="token":")[\w-]{22}(?=")'), "<token>"),
    (re.compile(r'(?<="sortKey":"inf_)\w{26}(?==)'), "<random>"),
    (re.compile(r"\bbytes? \d+( to \d+)?"), "byte <n>"),
    (re.compile(r"\b\d+\.\d+ms$", re.MULTILINE), "<n>ms"),
]


class Reader:
    """Does what the tour says and compares what happens with what it shows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = environment(folder) | {"PATH": path_with_our_programs(), "HOME": str(folder)}
        self._server: Server | None = None
        self._url = EXAMPLE_URL

    def follow(self, block: str) -> None:
        if not block.startswith("$ "):
            self._look_at_the_service(block)
        for command, shown in console_steps(block):
            self._do(command, shown)

    def close(self) -> None:
        if self._server is not None:
            self._server.kill()

    def _do(self, command: str, shown: str) -> None:
        if new := exported(command):
            self._environment |= {name: self._here(value) for name, value in new.items()}
        elif command == "gunicorn app:app\n":
            self._server = Server(self._folder, "gunicorn", "app:app")
            self._url = self._server.url
            assert self._told(self._server.output).startswith(self._told(shown))
        else:
            printed, expected = self._told(self._run(command)), self._told(shown)
            if "| fold" in command:
                printed, expected = settled_line(printed), settled_line(expected)
            assert printed == expected, command

    def _run(self, command: str) -> str:
        """Return all that a command prints; one that may fail says so itself."""
        return subprocess.run(
            ["sh", "-c", self._here(command)],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
            check=True,
        ).stdout

    def _look_at_the_service(self, block: str) -> None:
        """Press Ctrl-C in the first terminal, and look at what stands above it."""
        shown, _, rest = block.partition("^C\n")
        assert rest == ""
        assert self._server is not None
        os.killpg(self._server.process.pid, signal.SIGINT)
        assert self._server.process.wait(PATIENCE_SECONDS) == 0
        self.close()
        assert self._told(self._server.output).endswith(self._told(shown))

    def _here(self, text: str) -> str:
        return text.replace(EXAMPLE_FOLDER, str(self._folder)).replace(EXAMPLE_URL, self._url)

    def _told(self, text: str) -> str:
        return unvaried(text.replace(str(self._folder), EXAMPLE_FOLDER).replace(self._url, EXAMPLE_URL))


def unvaried(text: str) -> str:
    for pattern, name in ONLY_HERE:
        text = pattern.sub(name, text)
    return settled(text)


def settled_line(folded: str) -> str:
    """Return one line for what `fold` has made several of, perhaps in the middle of what varies."""
    return unvaried(folded.replace("\n", ""))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path / "tour")
    yield reader
    reader.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tour's call is made with curl, which is not here")
def test_everything_happens_as_the_tour_shows_it(reader):
    for block in console_blocks(TOUR):
        reader.follow(block)


def test_every_quote_is_in_the_file_named_before_it():
    quotes = list(re.finditer(r"^```python\n(.*?)^```", TOUR, re.MULTILINE | re.DOTALL))
    for quote in quotes:
        path = re.findall(r"\]\((\S+\.py)\)", TOUR[: quote.start()])[-1]
        for part in quote[1].split("...\n"):
            assert part in (DOCS / path).read_text("utf-8"), path
    assert len(quotes) > 10


def test_every_part_that_is_explained_is_in_the_documents():
    (rows,) = re.findall(r"\| fold .*?\n(.*?)^```", TOUR, re.MULTILINE | re.DOTALL)
    parts = re.findall(r"^\| `(.+)` \|", TOUR, re.MULTILINE)
    assert [part for part in parts if part not in rows.replace("\n", "")] == []
    assert len(parts) > 5
