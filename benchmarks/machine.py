"""What the numbers were measured on, and how much memory a process holds."""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path


def describe(folder: Path) -> str:
    """Return one line: processor, cores, system, Python, gunicorn, and the file system below `folder`."""
    return (
        f"{_processor()}, {os.cpu_count()} cores; {_system()}; {platform.python_implementation()} "
        f"{platform.python_version()}; gunicorn {version('gunicorn')}, Flask {version('flask')}, "
        f"TinyDB {version('tinydb')}; data on {_file_system(folder)}"
    )


def resident_bytes(pid: int) -> int:
    """Return a process's memory, what it shares counted in parts (PSS) where the system tells, else whole (RSS)."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8")
    except OSError:
        return int(_output("ps", "-o", "rss=", "-p", str(pid))) * 1024
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def begin_peak(pid: int) -> int | None:
    """Forget the most memory a process ever held, and return what it holds; None where the system does not tell."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5", "utf-8")
        return peak_bytes(pid)
    except OSError:
        return None


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process held since `begin_peak`. Raises OSError beside Linux."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("utf-8"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def processor_ticks(pid: int) -> int:
    """Return how long a process has kept a processor busy, in the kernel's own unit. Raises OSError beside Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


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
    """Return its type; a file system in memory would make every sync free, so that is said loudly."""
    words = _output("df", "-PT", str(folder)).splitlines()[-1:]
    kind = words[0].split()[1] if words else "an unknown file system"
    return f"{kind} — IN MEMORY, SYNCS COST NOTHING; set TMPDIR to a disk" if kind in ("tmpfs", "ramfs") else kind


def _output(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False).stdout.strip()
