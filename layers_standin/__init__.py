"""The stand-in for the Layers Partner API: a launcher for programs that want one beside them.

Nothing of the service is imported here. It runs in a process of its own, which the command `layers-stand-in` starts, or
`StandIn`:

    with StandIn() as standin:
        organization = standin.organization()
"""

TYPE_CHECKING = False  # for type checkers it is true; typing's own would be one more import
if TYPE_CHECKING:
    from layers_standin.testing.process import StandIn

__all__ = ["StandIn"]


def __getattr__(name: str) -> "type[StandIn]":
    """Return StandIn, imported when it is first asked for."""
    if name != "StandIn":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from layers_standin.testing.process import StandIn  # noqa: PLC0415 - most imports are by the service itself

    return StandIn
