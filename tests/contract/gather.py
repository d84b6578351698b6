"""All the evidence there is, gathered in one go."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from app import create_app
from contract.answers import Answers
from contract.in_process import crash, routes
from contract.programs import drivers
from contract.refusals import provoke
from contract.replies import see_other_replies, send_examples
from contract.service import running
from layers_standin.services import open_services
from layers_standin.settings import Settings


class Evidence(NamedTuple):
    """What was answered, the routes there are as (method, path), and what calls each operation by its id."""

    answers: Answers
    routes: set[tuple[str, str]]
    drivers: Mapping[str, list[str]]


def gather(folder: Path) -> Evidence:
    """Ask services on this folder for all that the document tells, and run what calls them."""
    answers = Answers()
    with ThreadPoolExecutor() as pool:
        driven = pool.submit(drivers, folder / "programs")  # beside the rest, for most of it is waiting
        with running(folder, answers) as services:
            services.plain.keep_beginning()
            send_examples(services.plain, answers)
            see_other_replies(services.plain)
            provoke(services, answers)
        rooms = open_services(Settings(data=folder / "inside", sync=False))
        app = create_app(rooms)
        crash(app, answers)
        rooms.store.db.close()
        return Evidence(answers, routes(app), driven.result())
