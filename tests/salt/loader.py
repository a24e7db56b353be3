# SPDX-License-Identifier: Apache-2.0
"""Runs inside a Salt environment and a network namespace: one JSON request a line on stdin, one JSON answer a line on stdout.

It has Salt's own loader, pillar compiler, state system and reactor, without master or minion: file client and pillar are local unless the
configuration says otherwise. A process that stays saves the second that importing Salt costs each time. Started by box.py.
Requests: {"do": one of the functions below, …}; answers: {"value": …} or {"error": …}.
"""
import json
import logging
import os
import signal
import subprocess
import sys

import salt.config
import salt.loader
import salt.minion
import salt.pillar
import salt.state
import salt.utils.reactor

ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")      # what Salt prints by itself must not mix with the answers
os.dup2(2, 1)
SAID = []                                                   # what was logged at warning and above


class _Said(logging.Handler):
    def emit(self, record):
        if record.levelno >= logging.WARNING:
            SAID.append(f"{record.levelname} {record.getMessage()}")


class Loaded:
    """A minion's options and modules."""
    grains = None

    def __init__(self, config):
        self.opts = salt.config.minion_config(config)
        if Loaded.grains is None:
            Loaded.grains = salt.loader.grains(self.opts)
        self.opts["grains"] = dict(Loaded.grains)
        if self.opts["file_client"] == "remote":
            self.opts.update(salt.minion.resolve_dns(self.opts))
        self.context = {}
        self.modules = salt.loader.minion_mods(self.opts, context=self.context)


MINIONS = {}


def _minion(config):
    key = (config, os.stat(config).st_mtime_ns)
    if key not in MINIONS:
        MINIONS.clear()
        MINIONS[key] = Loaded(config)
    return MINIONS[key]


def call(minion, fun, arg, kwarg, patch=None):
    """A function of an execution module, as a job runs it: its value, the retcode, what it logged. `patch`: its package's constants."""
    loaded = _minion(minion)
    package = loaded.modules[fun].func.__module__
    for name, module in list(sys.modules.items()):
        if name == package or name.startswith(package + "."):
            vars(module).update({key: value for key, value in (patch or {}).items() if key in vars(module)})
    loaded.context.pop("retcode", None)
    del SAID[:]
    value = loaded.modules[fun](*arg, **kwarg)
    return {"value": value, "retcode": loaded.context.get("retcode", 0), "said": list(SAID)}


def killed(minion, fun, arg, kwarg, step):
    """The function in a fork, as a minion's job has one, which is killed at its `step`th step: before it runs a program, syncs, renames or
    removes a file. Returns whether it was; it wasn't if it has fewer steps."""
    loaded, left = _minion(minion), [step]

    def counted(function):
        def wrapper(*args, **words):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **words)
        return wrapper
    loaded.modules[fun]                                     # loaded before the steps are counted
    pid = os.fork()
    if pid == 0:
        for module, name in ((os, "fsync"), (os, "fdatasync"), (os, "replace"), (os, "unlink"), (subprocess, "run")):
            setattr(module, name, counted(getattr(module, name)))
        try:
            loaded.modules[fun](*arg, **kwarg)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def state(minion, high, test):
    """A state run of this data with fresh pillar, as state.apply has it: {state: return}."""
    loaded = _minion(minion)
    opts = dict(loaded.opts, test=test)
    opts["pillar"] = salt.pillar.get_pillar(opts, opts["grains"], opts["id"]).compile_pillar()
    found = salt.state.State(opts).call_high(high)
    return found if isinstance(found, list) else {key: {part: value[part] for part in ("result", "comment", "changes", "warnings") if part in value}
                                                  for key, value in found.items()}


def options(master):
    """The master's options as Salt reads them from its file and master.d, and what the engine would warn of."""
    opts = salt.config.master_config(master)
    engines = salt.loader.engines(opts, salt.loader.minion_mods(salt.config.minion_config(None)), {}, {})
    shim = vars(sys.modules[engines["nodewall.start"].func.__module__])
    found = {key: opts[key] for key in ("module_dirs", "file_roots", "engines", "ext_pillar", "reactor")}
    return {**found, "displaced": shim["_displaced"](opts), "engine_file": shim["__file__"]}


def pillar(master, minion_id):
    """The pillar of a minion, compiled as the master does it."""
    del SAID[:]
    opts = salt.config.master_config(master)
    grains = {"id": minion_id, "kernel": "Linux"}
    return {"value": salt.pillar.Pillar(opts, grains, minion_id, "base").compile_pillar(), "said": list(SAID)}


REACTORS = {}


def react(master, tag, data):
    """What the reactor does about an event: the jobs that it publishes."""
    del SAID[:]
    if master not in REACTORS:
        opts = salt.config.master_config(master)
        opts["__role"] = "master"
        REACTORS[master] = salt.utils.reactor.Reactor(opts)
    reactor, jobs = REACTORS[master], []

    class Local:
        """In the place of LocalClient, which would need a master to publish to."""

        def cmd_async(self, tgt, fun, **more):
            jobs.append({"tgt": tgt, "fun": fun, **more})
            return "20260101000000000000"

    wrap = salt.utils.reactor.ReactWrap(reactor.opts)
    wrap.client_cache = {"local": Local()}
    # As Reactor.run does it with an event from the bus.
    reactors = reactor.list_reactors(tag)
    for chunk in reactor.reactions(tag, data, reactors) if reactors else []:
        wrap.run(chunk)
    return {"jobs": jobs, "reactors": reactors, "said": list(SAID)}


def main():
    logging.getLogger().addHandler(_Said())
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"value": globals()[request.pop("do")](**request)}
        except Exception as error:                          # said to the test that asked
            logging.getLogger().exception("request")
            answer = {"error": f"{type(error).__name__}: {error}"}
        ANSWERS.write(json.dumps(answer, default=repr) + "\n")
        ANSWERS.flush()


if __name__ == "__main__":
    main()
