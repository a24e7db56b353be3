# SPDX-License-Identifier: Apache-2.0
"""What `./dev` calls: `python -m harness test|run|fuzz|lint …`, with Debian's Python and nothing but its standard library.

It makes the harness's environment when that is needed and goes on in it. Not here: system packages and meson's options (dev).
"""
import os
import sys

from . import cache, suite, tools, venvs


def run(script, *words):
    """Replaces this process with a program of tests/ in the harness's environment."""
    python = str(venvs.harness())
    path = str(suite.TESTS / script)
    if not os.path.exists(path):
        cache.say(f"there is no {path}")
        return 1
    cache.say("+ " + " ".join([python, path, *words]))
    os.execve(python, [python, path, *words], dict(os.environ, PYTHONPATH=str(suite.TESTS)))


VERBS = {"test": suite.main, "run": run, "fuzz": tools.fuzz, "lint": tools.lint}

if __name__ == "__main__":
    try:
        sys.exit(VERBS[sys.argv[1]](*sys.argv[2:]))
    except KeyboardInterrupt:
        sys.exit(130)
