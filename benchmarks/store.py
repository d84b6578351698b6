"""Measure the store beside TinyDB's own JSONStorage and a bare connection to SQLite, as Markdown.

    python benchmarks/store.py
    python benchmarks/store.py --only beside --rounds 9
    python benchmarks/store.py --only sizes --sizes 1000,1000000

An update is `update(fn, doc_ids=[...])`: it adds one to a counter in one random document and syncs it to the disk. The
bare connection has the same pragmas, checksums and table, and updates with four lines of SQL. Each round measures all
stores, in alternating order, and a ratio compares values of the same round, so that other work of the machine affects
both alike. The disk's part in an update is the same for all; the processor time has columns of its own.
"""

import argparse
import sys
import tempfile
from pathlib import Path

# Not this folder: http.py and store.py in it have the names of modules that are imported from elsewhere.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.beside import measure_beside, measure_sizes
from benchmarks.growth import measure_commands, measure_growth
from benchmarks.machine import describe
from benchmarks.writers import measure_writers

PARTS = ("beside", "writers", "sizes", "commands", "growth")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the store beside TinyDB's own JSONStorage and bare SQLite.")
    parser.add_argument("--sizes", default="1000,1000000", help="influencers in the store (%(default)s)")
    parser.add_argument("--tinydb-sizes", default="1000,10000", help="influencers in TinyDB's file (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1, help="spent on each operation in a round (%(default)s)")
    parser.add_argument("--patches", type=int, default=100_000, help="for the growth of the file (%(default)s)")
    parser.add_argument("--only", default=",".join(PARTS), help="the parts to measure (%(default)s)")
    given = parser.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    tinydb_sizes = [int(size) for size in given.tinydb_sizes.split(",")]
    with tempfile.TemporaryDirectory(prefix="standin-") as name:
        folder = Path(name)
        print(
            f"Machine: {describe(folder)}. Medians of {given.rounds} rounds, minimum and maximum in brackets.",
            flush=True,
        )
        parts = {
            "beside": lambda: measure_beside(folder, sizes[0], tinydb_sizes, given.rounds, given.seconds),
            "writers": lambda: measure_writers(folder, sizes[0], tinydb_sizes[0], given.seconds),
            "sizes": lambda: measure_sizes(folder, sizes, given.rounds, given.seconds),
            "commands": lambda: measure_commands(folder, sizes[0], given.rounds),
            "growth": lambda: measure_growth(folder, sizes[0], given.patches),
        }
        for part in given.only.split(","):
            print(f"\n{parts[part]()}", flush=True)


if __name__ == "__main__":
    main()
