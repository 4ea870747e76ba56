"""`python -m backend`: the server and the command line."""

import sys

from backend.server.watch import end_with_parent_while_starting

if __name__ == "__main__":
    end_with_parent_while_starting(sys.argv[1:])
    from backend.cli import main  # after that, because on a busy machine the imports take seconds

    sys.exit(main())
