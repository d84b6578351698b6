"""Run the tests on every installed Python: `pipx run nox`, or `pipx run nox -s tests-3.13 -- tests/test_app.py`."""

import nox

nox.options.sessions = ["tests", "lint"]


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    groups = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "lint")
    session.install("-e", ".[test]", *groups)
    session.run("ruff", "check", ".")
    session.run("mypy")
