"""The ``featureplane`` command: ``python -m featureplane`` and the console script of the package."""

from __future__ import annotations

import sys

from featureplane._lib import run_command


def main() -> int:
    """Run the command with the arguments of the process.

    Returns
    -------
    int
        The exit code; ``featureplane --help`` names the commands, the README the codes.

    Examples
    --------
    >>> import subprocess, sys
    >>> command = [sys.executable, "-m", "featureplane", "--version"]
    >>> subprocess.run(command, capture_output=True, text=True).stdout.split()[0]
    'featureplane'
    """
    return run_command(["featureplane", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
