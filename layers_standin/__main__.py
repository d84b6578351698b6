"""The command `layers-stand-in`, and `python -m layers_standin`."""

import sys

from layers_standin.application import isolate


def main() -> None:
    """Run the command line."""
    try:
        isolate()
        from layers_standin.cli import cli  # noqa: PLC0415 - it imports the application, which can be found only now

        cli(prog_name="layers-stand-in")
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell reports Ctrl-C, and without a traceback


if __name__ == "__main__":
    main()
