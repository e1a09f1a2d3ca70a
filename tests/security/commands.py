"""Commands of an operator, one after the other in one process: a list of them on standard input."""

from __future__ import annotations

import json
import sys

from click.testing import CliRunner

from starship_core.cli import main

if __name__ == "__main__":
    answers = []
    for arguments in json.load(sys.stdin):
        done = CliRunner().invoke(main, arguments)
        answers.append((done.exit_code, done.stdout, done.stderr))
    json.dump(answers, sys.stdout)
