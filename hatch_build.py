"""What a wheel carries inside of its one package; read by hatchling alone."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CARRIED = ("app.py", "schemas.py", "store.py", "gunicorn.conf.py", "data/seed.json", "data/pictures")


class CarryApplication(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the application's files into the package, but not when a checkout is installed: there they are in place."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files to a wheel that is to be copied somewhere."""
        if version == "standard":
            build_data["force_include"] |= {name: f"layers_standin/_application/{name}" for name in CARRIED}
