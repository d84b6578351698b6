"""What the tests of the documentation share: its console blocks, taken apart, and what is not the same twice."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from servers import ROOT

RECIPES = ROOT / "docs" / "recipes"
EXAMPLE_URL = "http://127.0.0.1:8000"

# What differs from run to run; the demo key is written out in full everywhere and does not.
VARYING = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"), "<time>"),
    (re.compile(r"req_[0-9A-Z]{26}"), "<request id>"),
    (re.compile(r"fault_[0-9A-Z]{26}"), "<fault id>"),
    (re.compile(r"proj_(?!01HX)[0-9A-Z]{26}"), "<project id>"),
    (re.compile(r"lp_test_(?!DEM0)[0-9A-Z]{16}_[0-9A-Za-z_-]{43}"), "<key>"),
    (re.compile(r"\d+ bytes"), "<n> bytes"),
]


def console_blocks(text: str) -> list[str]:
    return re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def console_steps(block: str) -> Iterator[tuple[str, str]]:
    """Yield (command, output) of a console block, in order."""
    for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = step.splitlines(keepends=True)
        size = 1 + next(i for i, line in enumerate(lines) if not line.endswith("\\\n"))
        yield "".join(lines[:size]), "".join(lines[size:])


def exported(command: str) -> dict[str, str]:
    """Return {name: value} of an `export`, which lasts beyond its own command; else nothing."""
    return dict(re.findall(r"^export (\w+)=(\S+)\n$", command))


def settled(text: str) -> str:
    """Return a text with a name in place of everything that varies."""
    for pattern, name in VARYING:
        text = pattern.sub(name, text)
    return text.rstrip("\n")


def path_with_our_programs() -> str:
    """Return a PATH on which `layers-stand-in` and `gunicorn` are those of this Python."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
