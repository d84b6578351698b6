"""Fixtures: one Layers stand-in for the whole run, and a new organization for every test."""

import os
import re
import subprocess
import time
from pathlib import Path

import httpx
import pytest

CHECKOUT = Path(os.environ.get("LAYERS_STANDIN", "../layers-stand-in")).resolve()  # where you cloned it
SETTINGS = {
    "PORT": "0",  # whichever is free
    "WEB_CONCURRENCY": "1",
    "STANDIN_SEED": "none",  # each test makes what it needs
    "STANDIN_SYNC": "never",  # nothing here has to outlive a power cut
}


@pytest.fixture(scope="session")
def standin(tmp_path_factory):
    """Run a stand-in until the last test has ended; return a client for its control plane."""
    folder = tmp_path_factory.mktemp("standin")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [CHECKOUT / ".venv/bin/gunicorn", "app:app"],
            cwd=CHECKOUT,
            env=os.environ | SETTINGS | {"STANDIN_DATA": str(folder / "store")},
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=address(process, folder / "log"), timeout=30) as client:
            client.get("/_standin/health").raise_for_status()
            yield client
    finally:
        process.terminate()
        process.wait()


def address(process, log):
    """Wait until a stand-in logs the URL that it listens on, and return it."""
    while not (found := re.search(r"listens on (http://[\d.:]+)", log.read_text())):
        assert process.poll() is None, log.read_text()
        time.sleep(0.02)
    return found[1]


@pytest.fixture
def organization(standin):
    """Return {"organizationId", "apiKey", ...} of a new organization; no other test sees its data."""
    return standin.post("/_standin/organizations").raise_for_status().json()


@pytest.fixture
def layers(standin, organization):
    """Return a client with the key of the test's organization."""
    with httpx.Client(base_url=standin.base_url, headers={"X-Api-Key": organization["apiKey"]}, timeout=30) as client:
        yield client


@pytest.fixture
def fault(standin, organization):
    """Return a function that makes the next call of an operation fail, for this test only."""

    def inject(operation, **answer):
        rule = {"match": {"operation": operation}, "times": 1, "answer": answer}
        own = {"organizationId": organization["organizationId"]}
        standin.post("/_standin/faults", json=rule | own).raise_for_status()

    return inject


@pytest.fixture
def clock(standin, organization):
    """Return a function that sets the clock of the test's organization."""

    def set_clock(**setting):
        own = {"organizationId": organization["organizationId"]}
        standin.put("/_standin/clock", json=setting | own).raise_for_status()

    return set_clock
