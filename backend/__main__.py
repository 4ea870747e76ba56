"""`python -m backend`: the server and the command line."""

import sys


def main(arguments: list[str]) -> int:
    """Import only what the command needs: the server must be there quickly."""
    if arguments[:1] == ["serve"]:
        from backend.server.main import main as serve

        return serve(arguments[1:])
    from backend.cli import main as command_line

    return command_line(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
