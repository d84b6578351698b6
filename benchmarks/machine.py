"""The machine that the numbers were measured on, and the memory and processor time of processes."""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import apsw


def describe(folder: Path) -> str:
    """Return one line: processor, cores, system, versions of Python and libraries, and the file system of `folder`."""
    return (
        f"{_processor()}, {os.cpu_count()} cores; {_system()}; {platform.python_implementation()} "
        f"{platform.python_version()}; gunicorn {version('gunicorn')}, Flask {version('flask')}, "
        f"TinyDB {version('tinydb')}, SQLite {apsw.sqlite_lib_version()}; data on {_file_system(folder)}"
    )


def resident_bytes(pid: int) -> int:
    """Return a process's memory: its proportional set size (PSS) on Linux, else its resident set size (RSS)."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8")
    except OSError:
        return int(_output("ps", "-o", "rss=", "-p", str(pid))) * 1024
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def reset_peak(pid: int) -> int | None:
    """Reset the peak memory of a process, and return its present memory in bytes; None on systems other than Linux."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5", "utf-8")
        return peak_bytes(pid)
    except OSError:
        return None


def peak_bytes(pid: int) -> int:
    """Return the peak memory of a process since `reset_peak`. Raises OSError on systems other than Linux."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("utf-8"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def processor_seconds(pid: int) -> float:
    """Return the processor time, user and system, of a process and of its children that have ended.

    Raises OSError on systems other than Linux.
    """
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """Return the ids of a process's living children."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()]
    except OSError:
        return [int(child) for child in _output("pgrep", "-P", str(pid)).split()]


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        found = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text("utf-8"), re.MULTILINE)
        return found[1] if found else platform.machine()
    return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()


def _system() -> str:
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}"
    except OSError:
        return platform.platform()


def _file_system(folder: Path) -> str:
    """Return the type of a folder's file system, with a warning for one in memory, on which a sync costs nothing."""
    words = _output("df", "-PT", str(folder)).splitlines()[-1:]
    kind = words[0].split()[1] if words else "an unknown file system"
    return f"{kind} — IN MEMORY, SYNCS COST NOTHING; set TMPDIR to a disk" if kind in ("tmpfs", "ramfs") else kind


def _output(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False).stdout.strip()
