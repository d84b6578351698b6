"""The command `layers-stand-in`, and `python -m layers_standin`."""

from layers_standin.application import put_on_path


def main() -> None:
    """Run the command line."""
    put_on_path()
    from layers_standin.cli import cli  # noqa: PLC0415 - it imports the application, which is on the path only now

    cli(prog_name="layers-stand-in")


if __name__ == "__main__":
    main()
