# SPDX-License-Identifier: Apache-2.0
"""
Ports: the ones by which this machine is reached now. A rule about them could lock its author out.

sshd may listen anywhere, and a session may have been accepted on a port that nobody listens on any more: whatever TCP
sockets its processes hold counts, if they are root's. One that is a user's holds what that user forwards, or only calls
itself sshd, and no user decides which rules there may be. Reads /proc of the own network namespace alone; what can't be
read is skipped.
"""

import os

SSHD = ("sshd", "sshd-session", "dropbear")
# Losing one of these by a typo loses the way in that would repair it.
RESERVED = {22: "ssh", 4505: "Salt", 4506: "Salt"}


def reserved():
    """{port: what it is for}"""
    found = dict(RESERVED)
    # The session that this very run came by, whoever serves it: "client port server port".
    words = os.environ.get("SSH_CONNECTION", "").split()
    if len(words) == 4 and words[3].isdecimal():
        found[int(words[3])] = "this ssh session's"
    inodes = _inodes()
    for table in ("/proc/net/tcp", "/proc/net/tcp6") if inodes else ():
        for words in _lines(table):
            if len(words) > 9 and words[9] in inodes:
                found[int(words[1].rpartition(":")[2], 16)] = "sshd's, which has a socket there"
    return found


def _lines(path):
    try:
        with open(path, encoding="ascii") as stream:
            return [line.split() for line in stream][1:]
    except OSError:
        return []


def _inodes():
    """The inodes of the sockets that sshd's processes hold, as root."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/{}/status".format(pid), encoding="utf-8", errors="replace") as stream:
                about = dict(line.rstrip("\n").partition(":\t")[::2] for line in stream)
            if about.get("Name") not in SSHD or about.get("Uid", "").split()[1:2] != ["0"]:
                continue
            folder = "/proc/{}/fd".format(pid)
            links = [os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)]
        except OSError:
            continue
        found |= {link[8:-1] for link in links if link.startswith("socket:[")}
    return found
