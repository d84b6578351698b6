"""Environments of users: the wheel, and what it needs lent from ours, for no test needs the network."""

import subprocess
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from servers import ROOT


def build_wheel(folder: Path) -> Path:
    """Build the wheel into an empty folder, and return its path."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(build, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert built.returncode == 0, built.stderr
    (path,) = folder.iterdir()
    return path


def needed(name: str, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """Add a distribution and all that it needs to `found`, without any extra that is not asked for."""
    requirement = Requirement(name)
    if requirement.name not in found or requirement.extras:
        found[requirement.name] = held = distribution(requirement.name)
        for each in map(Requirement, held.requires or []):
            extras = ["", *requirement.extras]
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras):
                needed(f"{each.name}[{','.join(each.extras)}]" if each.extras else each.name, found)
    return found


def link_dependencies(packages: Path, *names: str) -> None:
    """Lend an environment what these distributions need, and them too, but not our own."""
    found: dict[str, Distribution] = {}
    for name in names:
        needed(name, found)
    found.pop("layers-stand-in", None)
    for held in found.values():
        for name in {file.parts[0] for file in held.files or () if file.parts[0] not in ("..", "__pycache__")}:
            target = Path(str(held.locate_file(name)))
            if target.exists() and not (packages / name).exists():
                (packages / name).symlink_to(target)
