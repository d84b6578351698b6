"""The command `layers-stand-in`, and `python -m layers_standin`."""

import os
import sys

from layers_standin.application import isolate, print_anything


def main() -> None:
    """Run the command line."""
    print_anything()
    try:
        isolate()
        from layers_standin.cli import cli  # noqa: PLC0415 - it imports the application, which can be found only now

        cli(prog_name="layers-stand-in")
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell reports Ctrl-C, and without a traceback
    except OSError as error:  # the commands report those of the store themselves
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the rest would be tried again at the end, and fail again
        sys.exit(f"{error.filename or 'Standard output'} cannot be used: {error.strerror}.")


if __name__ == "__main__":
    main()
