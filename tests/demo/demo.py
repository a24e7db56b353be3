#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo: a node joins a Kubernetes cluster, and a firewall elsewhere opens. Run it by `./dev demo`.

Real are salt-master, two minions, nftables, the engine and every connection; the cluster's API server is a stand-in, or with --real a
kube-apiserver with etcd. It takes half a minute, needs root (for network namespaces) and leaves nothing behind.
Exit code: 0 if everything was as expected, 1 if not, 130 after Ctrl-C.
"""
import argparse
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from demo import scenes             # noqa: E402
from demo.explore import explore    # noqa: E402
from demo.narrator import Narrator  # noqa: E402
from demo.stage import Stage        # noqa: E402
from harness import venvs           # noqa: E402

OPENING = """\
nodewall: a Kubernetes node joins, and a firewall elsewhere opens.

  Everything here is real, in network namespaces of this machine: a salt-master with the engine, two minions with nftables,
  the machines that knock, and their connections. {cluster}
  The addresses (203.0.113.x and so on) are from the ranges for documentation; nothing leaves this machine.
"""
STAND_IN = "Only the cluster's API server is a stand-in (--real takes a\n  kube-apiserver and etcd)."
REAL = "So is the cluster prod: kube-apiserver and etcd."


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__.split("\n\n")[0])
    parser.add_argument("--real", action="store_true", help="kube-apiserver and etcd in place of the stand-in (built once, about five minutes)")
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end, to play with, until Ctrl-C")
    parser.add_argument("--salt", default=venvs.SALT_DEMO, metavar="VERSION", help="the Salt release (%(default)s)")
    args = parser.parse_args()
    if os.geteuid() != 0:
        print("demo: network namespaces need root: run it with sudo, or in a container with CAP_SYS_ADMIN and CAP_NET_ADMIN", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    print(OPENING.format(cluster=REAL if args.real else STAND_IN))
    tell = Narrator()
    try:
        tell.scene("Setting the stage")
        with Stage(tell, args.salt, args.real) as stage:
            began = time.monotonic()
            for scene in scenes.ALL:
                scene(stage, tell)
            tell.figure("the show, without setting the stage", f"{time.monotonic() - began:.0f} s")
            code = tell.summary()
            if code:
                print(f"\nWhat nodewall said last:\n{stage.last_words()}", file=sys.stderr)
            if args.keep:
                explore(stage, tell)
        return code
    except (AssertionError, OSError, RuntimeError, venvs.Unusable) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: stopped; everything it started is gone", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
