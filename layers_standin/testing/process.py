"""A stand-in in a child process, which ends when its parent does, however that dies."""

import os
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Self

from layers_standin.testing.control import Service, StandInError

START_SECONDS = 120.0
_STOP_SECONDS = 15.0
_KEPT_LINES = 200
_OPTIONS = ("port", "host", "workers", "seed")  # of the command line; all others are settings


class StandIn(Service):
    """A stand-in on a free port of this machine, with data of its own; nothing of it is left when it has ended.

    Settings are named as in docs/settings.md, with or without STANDIN_: `StandIn(job_seconds=0, rate_limits="on")`;
    beside them there are `port`, `host`, `workers` and `seed`, those of `layers-stand-in serve`.
    """

    def __init__(self, **settings: Any) -> None:
        options = [f"--{name}={settings[name]}" for name in _OPTIONS if settings.get(name) is not None]
        self._command = [sys.executable, "-P", "-m", "layers_standin", "serve", "--ephemeral", *options]
        own = {_setting(name): _text(value) for name, value in settings.items() if name not in _OPTIONS}
        self._environment = {**os.environ, **own}
        token = self._environment.get("STANDIN_CONTROL", "loopback")
        super().__init__("", None if token in ("loopback", "off") else token)
        self._process: subprocess.Popen[str] | None = None
        self._output: deque[str] = deque(maxlen=_KEPT_LINES)
        self._listens = threading.Event()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<StandIn at {self.base_url}>" if self.base_url else "<StandIn, not started>"

    @property
    def output(self) -> str:
        """The newest lines that it has printed."""
        return "".join(self._output)

    def start(self) -> Self:
        """Return when it answers. Raises StandInError with the reason if it does not start."""
        if self._process is not None:
            return self
        self._listens.clear()
        self._output.clear()
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            self._command,
            env=self._environment,
            stdin=subprocess.PIPE,  # its end is the end of this process, which the stand-in waits for
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C is for this process: tests may still ask something at their end
        )
        try:
            self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
            self._reader.start()
            if not self._listens.wait(START_SECONDS):
                raise StandInError(f"The stand-in did not start in {START_SECONDS:.0f} seconds.")
            if not self.base_url:
                said = self.output.strip().rpartition("\n")[2] or "it was killed."
                raise StandInError(f"The stand-in did not start: {said}")
            self.command("GET", "health")  # answered as soon as a worker is there
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Return when it has ended and its data are gone; without effect if it has not been started."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        self.base_url = ""
        process.stdin.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._reader.join(_STOP_SECONDS)  # the last that holds its output has removed the data

    def _read(self, process: "subprocess.Popen[str]") -> None:
        """Keep what it prints, so that it never waits for a reader; note the URL in its greeting."""
        assert process.stdout is not None  # noqa: S101 - for the type
        with process.stdout as lines:
            for line in lines:
                self._output.append(line)
                if not self._listens.is_set() and (found := re.search(r"listens on (https?://[^\s,]+)", line)):
                    self.base_url = re.sub(r"//(0\.0\.0\.0|\[::\])", "//127.0.0.1", found[1])
                    self._listens.set()
        self._listens.set()


def _setting(name: str) -> str:
    upper = name.upper()
    return upper if upper.startswith("STANDIN_") else f"STANDIN_{upper}"


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def attached(environ: Mapping[str, str]) -> Service | None:
    """Return the stand-in that LAYERS_STANDIN_URL names, if it names one; LAYERS_STANDIN_TOKEN opens its controls."""
    url = environ.get("LAYERS_STANDIN_URL")
    return Service(url, environ.get("LAYERS_STANDIN_TOKEN")) if url else None
