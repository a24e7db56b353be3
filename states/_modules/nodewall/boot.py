# SPDX-License-Identifier: Apache-2.0
"""
Boot: what nodewall-restore.service loads before there is a network, with nft and a shell alone.

    boot.nft      the table as it was confirmed last: all of it, then the members that came and went since
    closed.nft    the same rules with empty sets, for a boot.nft that can't be read
    restore       the shell script that loads one or the other

boot.nft is a log of blocks, each closed by a line ``#end``, and is loaded as one transaction: a block that a crash has cut
counts for nothing. What comes later may repeat what was there before (an element is added before it is deleted, so
neither can fail). The versions stand in the ``#end`` lines, the last one of each cluster counts: whatever order a crash
has left them in, a cluster has one version.

Invariant: durable before the kernel has the members; after it, and after they were confirmed, for rules.
"""

import os
import re

from . import cache, kernel

STAMP = "# rules {}\n"
END = re.compile(r"^#end (\S+) (.*)$", re.MULTILINE)
FILES = ("boot.nft", "closed.nft", "restore")
RESTORE = r"""#!/bin/sh
# nodewall: the table as it was confirmed last, without Salt. Written by nodewall.apply, run by nodewall-restore.service.
cd "${0%/*}" || exit 1
PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin
load() {
    end=$(grep -sn '^#end' "$1" | tail -n 1) && [ -n "$end" ] || return 1
    { head -n "${end%%:*}" "$1" && awk '/^#end ./ { last[$2] = substr($0, 6 + length($2)) } END { for (name in last) print last[name] }' "$1"; } | nft -f -
}
load boot.nft && exit 0
echo '<2>nodewall: what was applied last cannot be read. The ports that rules name are closed to every cluster until nodewall.apply' >&2
load closed.nft && exit 0
echo '<2>nodewall: the rules cannot be read either. Their ports are OPEN until nodewall.apply' >&2
exit 1
"""


def _path(folder, name):
    return os.path.join(folder, name)


def _end(cluster, version):
    return "#end {} {}\n".format(cluster, kernel.mark(cluster, version)) if version else ""


def write(folder, stamp, clusters, segments, set_only):
    """All of it: ``clusters`` {name: (Version or None, members)}; ``stamp`` stands for the rules."""
    bare = {name: (None, {}) for name in clusters}
    _replace(folder, "restore", RESTORE)
    for name, some in (("closed.nft", bare), ("boot.nft", {name: (None, members) for name, (_, members) in clusters.items()})):
        script = kernel.sets_only(some) if set_only else kernel.whole(some, segments)
        ends = [_end(cluster, version) for cluster, (version, _) in sorted(clusters.items()) if name == "boot.nft"]
        _replace(folder, name, "".join([STAMP.format(stamp), script, "#end\n"] + ends))


def current(folder, stamp, versions):
    """Whether a boot would have these rules and versions: a crash may have come between the cache and here."""
    try:
        with open(_path(folder, "boot.nft"), encoding="utf-8") as stream:
            text = stream.read()
    except (OSError, ValueError):
        return False
    last = dict(END.findall(text))
    return text.startswith(STAMP.format(stamp)) and all(
        last.get(cluster) == kernel.mark(cluster, version) for cluster, version in versions.items()
    )


def _replace(folder, name, text):
    path = _path(folder, name)
    try:
        with open(path, encoding="utf-8") as stream:
            if stream.read(len(text) + 1) == text:
                return
    except (OSError, ValueError):
        pass
    cache.write(path, text)


def append(folder, cluster, version, added, removed):
    """A change of hosts. False when there is no boot.nft that it could continue."""
    path = _path(folder, "boot.nft")
    if not os.path.lexists(path):
        return False
    cache.extend(path, "\n" + kernel.again(cluster, added, removed) + "#end\n" + _end(cluster, version))
    return True


def forget(folder):
    for name in FILES:
        cache.remove(_path(folder, name))
