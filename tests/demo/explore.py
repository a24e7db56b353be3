# SPDX-License-Identifier: Apache-2.0
"""`./dev demo --keep`: the stage stays, and a person plays with it by a few words; without a terminal it just stays until Ctrl-C.

Does nothing by itself: each word is one call of what the scenes use too. What a person types is checked (an address must be one) and
an error is a sentence, not the end.
"""
import ipaddress
import shlex
import subprocess
import sys
import time

from harness import nodewall

HELP = """\
join NAME ADDRESS    a new machine with this address joins prod      leave NAME        it leaves the cluster
nodes                who is in prod                                  knock NAME        does it get through to db1, and to web1?
status               what the engine says                            rules db1|web1    the minion's firewall
salt TARGET FUN ...  any Salt command                                quit, Ctrl-C      the end; nothing stays behind"""


def explore(stage, tell):
    tell.scene("It is all still running")
    if not sys.stdin.isatty():
        tell.say("Ctrl-C (or SIGTERM) ends it.")
        while True:
            time.sleep(3600)
    for line in HELP.split("\n"):
        tell.write(line)
    while True:
        try:
            words = shlex.split(input("demo> "))
        except EOFError:
            return
        except ValueError as error:
            tell.write(str(error))
            continue
        if words and words[0] in ("quit", "exit"):
            return
        if words:
            try:
                act(stage, tell, *words)
            except (OSError, KeyError, ValueError, TypeError, AssertionError) as error:
                tell.write(f"{type(error).__name__}: {error}")


def act(stage, tell, word, *rest):
    if word == "join" and len(rest) == 2:
        address = str(ipaddress.ip_address(rest[1]))
        if rest[0] not in stage.machines:
            stage.machine(rest[0], address)
        stage.prod.create_node(rest[0], [address])
    elif word == "leave" and len(rest) == 1:
        stage.prod.delete_node(rest[0])
    elif word == "nodes":
        for name, addresses in stage.prod.nodes().items():
            tell.write(f"{name:<12}{' '.join(addresses)}")
    elif word == "knock" and len(rest) == 1:
        for minion in (stage.db, stage.web):
            tell.write(f"{minion.label}:{minion.port}  {stage.knock(stage.machines[rest[0]], minion)}")
    elif word == "status":
        subprocess.run([nodewall.binary(), "status", "-c", stage.setup.config], check=False)
    elif word == "rules" and rest and rest[0] in ("db1", "web1"):
        tell.write((stage.db if rest[0] == "db1" else stage.web).nft("list", "table", "inet", "nodewall"))
    elif word == "salt" and len(rest) >= 2:
        for minion, answer in stage.master.cmd(rest[0], rest[1], *rest[2:]).items():
            tell.write(f"{minion}: {answer}")
    else:
        tell.write(HELP)
