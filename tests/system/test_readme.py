"""The README fits on a few screens, and the commands that start the service and the tests are the ones that are run."""

import re

import pytest
from servers import ROOT

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text("utf-8")


def test_it_has_at_most_200_lines() -> None:
    assert len(README.splitlines()) <= 200


def test_the_first_command_starts_the_service_and_the_second_the_tests() -> None:
    first, second = re.findall(r"^    (python3 -m venv .+)$", README, re.MULTILINE)
    assert first == "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/gunicorn app:app"
    assert second == "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest"


def test_its_test_is_the_one_that_the_jobs_of_ci_run() -> None:
    (test,) = re.findall(r"^```python\n.*?^```$", README, re.MULTILINE | re.DOTALL)
    assert test in (ROOT / "docs" / "ci.md").read_text("utf-8")


def test_it_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\((docs/[\w-]+\.md)\)", README))
    assert linked == {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")}
