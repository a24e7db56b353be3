# SPDX-License-Identifier: Apache-2.0
"""Runs inside a Salt environment in the place of salt-master's main process: starts the engines with Salt's own code and supervises them.

It is as untidy as a master can be: descriptors that are inheritable, ignored and blocked signals, an environment full of things that
the program must not see. Usage: shim_host.py MASTER_CONFIG [ROLE]; each line on stdin is one command, each answer one line of JSON.
"""
import json
import os
import signal
import socket
import sys
import time

import salt._logging
import salt.config
import salt.engines
import salt.utils.process

answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)


def answer(**words):
    answers.write(json.dumps(words) + "\n")
    answers.flush()


def main(config, role="master"):
    opts = salt.config.master_config(config)
    opts["__role"] = role
    salt._logging.set_logging_options_dict(opts)
    salt._logging.setup_logging()
    litter = [socket.socket(), socket.socket(socket.AF_UNIX), open("/dev/zero", "rb"), open("/etc/passwd", "rb"), *os.pipe(), *os.pipe()]
    for one in litter:
        os.set_inheritable(one if isinstance(one, int) else one.fileno(), True)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP, signal.SIGUSR1])
    os.environ.update(NOTIFY_SOCKET="/run/notify", WATCHDOG_USEC="1", WATCHDOG_PID="1", SSL_CERT_FILE="/opt/salt/cert.pem", SSL_CERT_DIR="/opt/salt",
                      RELENV_DATA="/opt/salt", LD_LIBRARY_PATH="/opt/salt/lib", LD_PRELOAD="", PYTHONPATH="/opt/salt", KUBECONFIG="/root/x", LISTEN_FDS="3",
                      LC_TIME="C", HTTPS_PROXY="http://proxy:1", AWS_SECRET_ACCESS_KEY="x")
    manager = salt.utils.process.ProcessManager(name="host")
    salt.engines.start_engines(opts, manager)
    answer(pid=os.getpid(), children=list(manager._process_map))
    for line in sys.stdin:
        if line.strip() == "check":         # what the master does each ten seconds
            manager.check_children()
            answer(children=list(manager._process_map))
        elif line.strip() == "join":        # what the master does when it stops
            begun = time.monotonic()
            for entry in manager._process_map.values():
                entry["Process"].join(0.3)
            answer(took=time.monotonic() - begun, alive=[entry["Process"].is_alive() for entry in manager._process_map.values()])
        elif line.strip() == "terminate":
            for entry in manager._process_map.values():
                entry["Process"].terminate()
                entry["Process"].join(3)
            answer(alive=[entry["Process"].is_alive() for entry in manager._process_map.values()])


if __name__ == "__main__":
    main(*sys.argv[1:])
