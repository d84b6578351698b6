"""hatchling's build hook: a wheel has the application's files inside its one package."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

INCLUDED = ("app.py", "schemas.py", "store.py", "gunicorn.conf.py", "data/seed.json", "data/pictures")


class CarryApplication(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the application's files to a wheel, but not to an editable install, which uses those of the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files if `version` is "standard", not "editable"."""
        if version == "standard":
            build_data["force_include"] |= {name: f"layers_standin/_application/{name}" for name in INCLUDED}
