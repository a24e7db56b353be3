# SPDX-License-Identifier: Apache-2.0
"""Plain processes: start with a log file, wait for a condition, stop with everything that they started.

Each process is the leader of its own session; stopping it ends whoever is still in that session, so that a salt-master's workers
and its engine go with it. It also gets the parent-death signal, in case the test run itself is killed.

Invariant: only processes that this harness started are ever signalled, by their ids.
"""
import os
import pathlib
import signal
import subprocess
import time


class Timeout(AssertionError):
    """What was waited for didn't come; an AssertionError, so that pytest shows it as a failure of the test."""


def wait_until(condition, timeout=10.0, what="the condition", every=0.02):
    """Calls `condition` until it returns something true, which is returned. Raises Timeout."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Timeout(f"waited {timeout:g} s for {what}")
        time.sleep(every)


def session_pids(session):
    """The processes of a session, by /proc."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as handle:
                    fields = handle.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry))
    return found


def descendants(pid):
    """The processes below this one, nearest first."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as handle:
                    fields = handle.read().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry))
    found, queue = [], [pid]
    while queue:
        below = children.get(queue.pop(0), [])
        found += below
        queue += below
    return found


def signal_pid(pid, number):
    """Sends a signal; no error if the process has gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Process:
    """One started program. `log` is its stdout and stderr; `patience`: seconds that it has to end by itself when stopped."""

    def __init__(self, command, log, namespace=None, env=None, cwd=None, patience=10.0):
        self.patience = patience
        self.command, self.log, self.namespace, self.env, self.cwd = [str(word) for word in command], pathlib.Path(log), namespace, env, cwd
        self.child = None

    def start(self):
        """Starts it (again)."""
        prefix = ["setpriv", "--pdeathsig", "KILL", "--"]
        if self.namespace is not None:
            prefix = ["nsenter", f"--net={self.namespace.path}", "--", *prefix]
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(prefix + self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.env,
                                          cwd=self.cwd, start_new_session=True)
        return self

    @property
    def pid(self):
        """The id of the process: nsenter and setpriv are replaced by the program, so this is the program's own."""
        return self.child.pid

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def wait(self, condition, timeout=30.0, what="the condition"):
        """Like wait_until, but fails at once, with the log, if the process ends."""
        def check():
            value = condition()
            if not value and not self.alive():
                raise Timeout(f"{self.command[0]} ended with {self.child.returncode} before {what}:\n{self.tail()}")
            return value
        try:
            return wait_until(check, timeout, what)
        except Timeout as error:
            raise Timeout(f"{error}\n--- {self.log}\n{self.tail()}") from None

    def tail(self, lines=25):
        """The end of the log."""
        return tail(self.log, lines)

    def kill(self, number=signal.SIGKILL, timeout=10.0):
        """Sends a signal to the process alone and waits for its end; what it started lives on."""
        if self.alive():
            self.child.send_signal(number)
            self.child.wait(timeout)

    def stop(self):
        """SIGTERM, then SIGKILL to whoever of the session is left."""
        if self.child is None:
            return
        if self.alive():
            self.child.terminate()
            try:
                self.child.wait(self.patience)
            except subprocess.TimeoutExpired:
                pass
        end = time.monotonic() + min(self.patience, 2.0)
        while session_pids(self.child.pid) and time.monotonic() < end:
            time.sleep(0.02)
        for pid in session_pids(self.child.pid):
            signal_pid(pid, signal.SIGKILL)
        self.child.wait(10)


def tail(path, lines=25):
    """The last lines of a file, or why it can't be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return "".join(handle.readlines()[-lines:])
    except OSError as error:
        return f"({error})\n"
