# SPDX-License-Identifier: Apache-2.0
"""Runs inside a Salt environment: one JSON request a line on stdin, one JSON answer a line on stdout. Started by saltbed.py.

A process that stays saves the second that importing Salt costs at each command. Usage: salt_client.py MASTER_CONFIG
Requests: {"client": "local" | "runner" | "wheel", "fun": …, "tgt": …, "tgt_type": …, "arg": […], "kwarg": {…}, "timeout": s}
"""
import json
import logging
import os
import sys

import salt.client
import salt.config
import salt.runner
import salt.wheel

ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")      # what Salt prints by itself must not mix with the answers
os.dup2(2, 1)


def local(config, request):
    """{minion: return} of those that answered; with async, the job's id."""
    client = salt.client.LocalClient(c_path=config, auto_reconnect=True)
    try:
        words = {"tgt": request["tgt"], "fun": request["fun"], "arg": request["arg"], "kwarg": request["kwarg"], "tgt_type": request["tgt_type"]}
        if request.get("async"):
            return client.cmd_async(**words)
        found = {}
        for minion, answer in client.cmd(full_return=True, timeout=request["timeout"], **words).items():
            found[minion] = answer if isinstance(answer, dict) and "ret" in answer else {"ret": answer, "retcode": None}
        return found
    finally:
        client.destroy()


def main(config):
    logging.disable(logging.WARNING)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["client"] == "local":
                answer = {"value": local(config, request)}
            else:
                opts = salt.config.client_config(config) if request["client"] == "wheel" else salt.config.master_config(config)
                kind = salt.wheel.WheelClient if request["client"] == "wheel" else salt.runner.RunnerClient
                answer = {"value": kind(opts).cmd(request["fun"], arg=request["arg"], kwarg=request["kwarg"], print_event=False)}
        except Exception as error:                          # said to the test that asked
            answer = {"error": f"{type(error).__name__}: {error}"}
        ANSWERS.write(json.dumps(answer, default=repr) + "\n")
        ANSWERS.flush()


if __name__ == "__main__":
    main(sys.argv[1])
