"""The command `clipgauge`: the same as the program of its name, made of the same code."""

from __future__ import annotations

import signal
import sys

from clipgauge import _native


def main() -> int:
    """Run the command with the arguments of this process, and give its exit code."""
    # The command has its own way to end at ctrl-C; Python's would come on top of it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.run_command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
