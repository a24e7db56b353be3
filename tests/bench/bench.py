#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What nodewall takes, beside what others take for the same in the same run. Run it by `./dev bench`; README.md says what each row is.

Results go to stdout, progress to stderr. Exit code: 0 when everything was measured, whether or not a goal is met (that is in the
table), 1 when something could not be measured, 2 for wrong usage, 130 after Ctrl-C. It takes under six minutes and leaves nothing behind.
"""
import argparse
import datetime
import os
import pathlib
import platform
import signal
import subprocess
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from bench import apply, clusters, informer, latency, listen, memory, report, sync  # noqa: E402
from bench.stage import Stage                               # noqa: E402
from harness import cache, netns, nodewall, servers, venvs  # noqa: E402

ROWS = {"event": "1", "burst": "1b", "firewall": "2", "apply": "3", "memory": "4", "monitor": "5", "sync": "6", "clusters": "7"}


def interrupted(*_):
    raise KeyboardInterrupt


def row(text):
    """A row by its name or its number."""
    name = next((name for name, number in ROWS.items() if text in (name, number)), None)
    if name is None:
        raise argparse.ArgumentTypeError(f"there is no row {text!r}; there are {', '.join(f'{name} ({number})' for name, number in ROWS.items())}")
    return name


def rounds(text):
    if not text.isdigit() or not 1 <= int(text) <= 5000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 5000")
    return int(text)


def machine(version):
    """What the figures depend on, as far as a machine can say."""
    def said(*command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip() or "unknown"
    cpu = next((line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
                if line.startswith("model name")), platform.machine())
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), "cores": os.cpu_count(), "cpu": cpu,
            "virtual": said("systemd-detect-virt"), "kernel": platform.release(), "load_before": os.getloadavg()[0], "nft": said("nft", "--version"),
            "commit": said("git", "-C", str(nodewall.ROOT), "describe", "--always", "--dirty"), "engine": nodewall.binary(), "salt": version,
            "kube-apiserver": servers.KUBE, "etcd": servers.ETCD, "client-go": informer.version()}


def _latencies(args, wanted):
    figures = []
    with Stage(args.salt) as stage:
        try:
            if {"event", "firewall"} & wanted:
                found = latency.spaced(stage, args.rounds)
                figures += latency.event_figures(found) if "event" in wanted else []
                figures += latency.firewall_figures(found) if "firewall" in wanted else []
            if "burst" in wanted:
                figures += latency.burst_figures(*latency.burst(stage, args.rounds + latency.LANES))
        finally:
            stage.tidy()
    return figures


def groups(args, wanted):
    """(rows, what measures them), in the order of the run: rows on one stage are measured together."""
    together = {"event", "burst", "firewall"} & wanted
    if together:
        yield together, lambda: _latencies(args, together)
    if "apply" in wanted:
        yield {"apply"}, lambda: apply.measure(args.salt, max(10, args.rounds * 2 // 5))
    if "clusters" in wanted:
        yield {"clusters"}, lambda: clusters.measure(2 * args.rounds)
    if "memory" in wanted:
        yield {"memory"}, lambda: memory.measure(args.salt, max(5, args.rounds // 4))
    if "monitor" in wanted:
        yield {"monitor"}, lambda: listen.measure(args.salt)
    if "sync" in wanted:
        yield {"sync"}, lambda: sync.measure(rounds=max(3, args.rounds // 14))


def run(args):
    """(figures, {rows: why they could not be measured})"""
    figures, problems = [], {}
    wanted = set(args.only or ROWS)
    for rows, measure in groups(args, wanted):
        name = ", ".join(one for one in ROWS if one in rows)
        try:
            figures += measure()
        except Exception as error:              # whatever it was: the other rows can still be measured, and the exit code tells
            traceback.print_exc()
            problems[name] = f"{type(error).__name__}: {error}"
            cache.say(f"{name}: could not be measured: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
    return sorted(figures, key=lambda figure: list(ROWS).index(figure.row)), problems


def show(args, figures, problems, where):
    if args.output == "json":
        print(report.as_json(figures, where, problems))
        return
    print(f"{where['date']}, {where['cores']} cores ({where['cpu']}, {where['virtual']}), Linux {where['kernel']}, "
          f"load {where['load_before']:.1f} before and {where['load_after']:.1f} after")
    print(f"nodewall {where['commit']}, Salt {where['salt']}, kube-apiserver {where['kube-apiserver']}, etcd {where['etcd']}, "
          f"client-go {where['client-go']}, {where['nft']}\n")
    if figures:
        print(report.table(figures))
    for name, why in problems.items():
        print(f"\nnot measured: {name}: {why.splitlines()[0]}")
    missed = [f"{figure.row} ({figure.what})" for figure in figures if figure.met is False]
    print(f"\ngoals: {sum(figure.met is True for figure in figures)} met, {len(missed)} missed{': ' + '; '.join(missed) if missed else ''}")


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="for people or for programs (%(default)s)")
    parser.add_argument("--rounds", type=rounds, default=100, metavar="N",
                        help="node creations; two fifths of it (10 at least) for apply, a quarter of it in seconds for memory (%(default)s)")
    parser.add_argument("--only", type=row, action="append", metavar="ROW", help=f"{', '.join(ROWS)}, or its number; may be given again")
    parser.add_argument("--salt", default=venvs.SALT_DEMO, metavar="VERSION", help="the Salt release (%(default)s)")
    args = parser.parse_args()
    if os.geteuid() != 0:
        print("bench: network namespaces need root: run it with sudo, or in a container with CAP_SYS_ADMIN and CAP_NET_ADMIN", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    begun = time.monotonic()
    try:
        where = machine(args.salt)
        venvs.salt(args.salt)
        informer.path()
        netns.remove_leftovers()
        figures, problems = run(args)
    except (OSError, RuntimeError, venvs.Unusable, subprocess.CalledProcessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: stopped; everything it started is gone", file=sys.stderr)
        return 130
    where["load_after"], where["seconds"] = os.getloadavg()[0], round(time.monotonic() - begun)
    show(args, figures, problems, where)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
