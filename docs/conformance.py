"""Generate `docs/conformance.md` from the answers of the present service: `python docs/conformance.py`.

It needs the packages of the tests (`pip install -e '.[test]'`), and uses `tests/contract/`.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

try:
    from contract.gather import gather
    from contract.page import conformance_page
except ModuleNotFoundError as error:
    sys.exit(f"This needs {str(error.name).partition('.')[0]}: pip install -e '.[test]'")


def main() -> None:
    """Run the evidence, and write the page beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        page = conformance_page(gather(Path(folder)))
    Path(__file__).with_suffix(".md").write_text(page, "utf-8")


if __name__ == "__main__":
    main()
