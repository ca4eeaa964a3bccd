"""The Python path of the parity check as a command.

``python -m featureplane.parity PACKETS.ndjson OUT.bin`` reads a packet log and writes the frames, one
after the other, as an engine makes them packet by packet.
"""

from __future__ import annotations

import sys
from pathlib import Path

from featureplane._replay import frames

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command: packet log in, frames out; return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 2:
        print("usage: python -m featureplane.parity PACKETS.ndjson OUT.bin", file=sys.stderr)
        return 2
    with Path(given[1]).open("wb") as out:
        for frame in frames(Path(given[0]), None):
            out.write(frame)
    return 0


if __name__ == "__main__":
    sys.exit(main())
