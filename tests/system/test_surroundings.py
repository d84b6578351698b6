"""The tests say the same wherever they are run: some are run once more where everything is set to be in their way."""

import os
import subprocess
import sys

import pytest
from servers import PATIENCE_SECONDS, ROOT

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

SET = {
    "STANDIN_NOTHING": "stops the start",
    "STANDIN_RATE_LIMITS": "perhaps",
    "PORT": "none",
    "WEB_CONCURRENCY": "many",
    "GUNICORN_CMD_ARGS": "--no-such-option",
    "FLASK_APP": "no_such_app",
    "LAYERS_API_KEY": "lp_test_wrong",
    "PGHOST": "nowhere.invalid",
    "PGSERVICE": "nothing",
    "LC_ALL": "xx_XX.ISO-8859-1",  # as ssh brings it along, and is not installed
    "TZ": "Pacific/Kiritimati",
    "COLUMNS": "11",
    "FORCE_COLOR": "1",
    "http_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
    "PYTHONWARNINGS": "error",
}


@pytest.mark.parametrize(
    "tests",
    [
        "tests/system/test_readme.py",
        "tests/system/test_start.py::test_gunicorn_listens_where_PORT_says_with_as_many_workers_as_WEB_CONCURRENCY_says",
        "tests/engines/postgres/test_postgres.py::test_many_processes_make_the_tables_of_an_empty_database_once",
    ],
)
def test_nothing_that_is_set_changes_what_comes_out(tmp_path, tests):
    decoys, home = tmp_path / "decoys", tmp_path / "home"
    for folder in (decoys, home):
        folder.mkdir()
    for path in [*ROOT.glob("*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("*/__init__.py")]:
        name = path.parent.name if path.name == "__init__.py" else path.stem
        (decoys / f"{name}.py").write_text("raise RuntimeError('somebody else has a module of this name')", "utf-8")
    (home / ".curlrc").write_text("include\nverbose\n", "utf-8")

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", str(ROOT / tests)],
        cwd=tmp_path,
        env=os.environ | SET | {"PYTHONPATH": str(decoys), "HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout
