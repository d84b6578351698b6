"""Schemathesis against the service as people run it: it reads the OpenAPI document, and finds nothing.

No 5xx, no status that is not told, every response as its schema says; what fits the schemas is accepted and what does
not is refused; without a key nothing works, and what is deleted is gone. What it may not hold against us is in
`schemathesis_hooks.py`, with the reasons. It commands the control plane too, but for what would end its own run: the
operations left out are in `schemathesis.toml`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from content_helpers import made_content
from delivery_helpers import made_endpoint
from openapi_helpers import left_out_of_fuzzing, plant_examples
from post_helpers import made_account
from servers import Server, seeded, serving

from app import document
from contract.programs import succeeded
from layers_standin.domain.keys import DEMO_KEY
from layers_standin.openapi import examples
from layers_standin.services import Services, open_media
from layers_standin.settings import Settings
from layers_standin.web.uploads import upload_url

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PATIENCE_SECONDS = 300

DOCUMENT = document("http://localhost")


def planted(folder: Path) -> dict[str, str]:
    """Fill a new store with what the document's examples need; return the variables of the configuration file."""
    settings = Settings(data=folder, sync=False)
    with seeded(folder) as store:
        rooms = Services(store, open_media(settings), settings)
        plant_examples(rooms)
        gif = {"kind": "image", "mimeType": "image/gif"}
        upload = store.for_organization(examples.ORGANIZATION).assets.presign(examples.SPRING, gif)
        container, _ = made_content(rooms, examples.ORGANIZATION, examples.SPRING)
        own = store.for_organization(examples.ORGANIZATION)
        apart = own.projects.create({"name": "Posts", "timezone": "UTC"})["id"]
        approved = made_content(rooms, examples.ORGANIZATION, apart)[0] | {"approval": {"status": "not_required"}}
        store.tables.put("containers", approved)
        own.projects.create({"name": "Newest", "timezone": "UTC"})  # links lead to the newest, whose account may go
        endpoint = made_endpoint(own, events=["social_account.revoked"])  # not of all, for twenty failures pause it
        delivery = own.deliveries.send(endpoint, "test.ping", {})
        return {
            "FUZZ_HOOKS": str(HERE / "schemathesis_hooks.py"),
            "FUZZ_KEY": DEMO_KEY,
            "FUZZ_SIGNATURE": upload_url(rooms, upload, str).rpartition("/")[2],
            "FUZZ_CONTAINER": container["id"],
            "FUZZ_APPROVED": approved["id"],
            "FUZZ_ENDPOINT": endpoint["id"],
            "FUZZ_DELIVERY": delivery["id"],
            "FUZZ_ACCOUNT": made_account(own, apart)["socialAccountId"],
        }


def fuzzed(server: Server, folder: Path, variables: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run Schemathesis to its end; what it prints says how to repeat a request it did not like."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(HERE / "schemathesis.toml")]
    return subprocess.run(
        [*command, "run", f"{server.url}/openapi.json", "--no-color"],
        cwd=folder,  # it leaves files behind
        env=os.environ | variables,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_schemathesis_finds_nothing(tmp_path):
    variables = planted(tmp_path / "store")
    with serving(tmp_path / "store", STANDIN_SYNC="never", STANDIN_JOB_SECONDS="0.5") as server:
        run = fuzzed(server, tmp_path, variables)

    assert run.returncode == 0, run.stdout + run.stderr
    every = {told["operationId"] for methods in DOCUMENT["paths"].values() for told in methods.values()}
    assert left_out_of_fuzzing() < every
    assert succeeded(server.output) == every - left_out_of_fuzzing()
