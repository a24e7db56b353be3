# SPDX-License-Identifier: Apache-2.0
"""A running `nodewall monitor` for tests, and events as bytes."""
import json
import subprocess
import threading

import msgpack
from harness import nodewall, process


class Monitor:
    """A running one; its lines as they come. Ends it at the end."""

    def __init__(self, master, *words, stdout=subprocess.PIPE, prefix=(), env=None):
        where = master.sock_dir if master.ipc_mode == "ipc" else master.pub_address[1]
        self.lines, self.said = [], []
        self.child = subprocess.Popen([*prefix, nodewall.binary(), "monitor", "-s", str(where), *map(str, words)], stdin=subprocess.DEVNULL, stdout=stdout,
                                      stderr=subprocess.PIPE, env=env)
        self._threads = [self._reader(self.child.stderr, self.said)]

    def _reader(self, pipe, to):
        def read():
            for line in pipe:
                to.append(line.decode("utf-8"))
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def read(self):
        """Begins to read what it prints."""
        self._threads.append(self._reader(self.child.stdout, self.lines))
        return self

    def listens(self):
        """Returns when it says that it listens (with -v)."""
        process.wait_until(lambda: any("listening" in line for line in self.said), 10, "the monitor to listen")
        return self

    def hears(self, fire):
        """Returns when it shows what is fired."""
        def heard():
            fire.fire("t/ready", {})
            return self.lines
        process.wait_until(heard, 10, "the monitor to hear the bus", every=0.1)
        return self

    def wait(self, text, count=1):
        process.wait_until(lambda: sum(text in line for line in list(self.lines)) >= count, 15, f"{count} lines with {text}")
        return [line for line in self.lines if text in line]

    def events(self, text):
        return [json.loads(line) for line in self.lines if text in line]

    def end(self, timeout=10):
        """Its exit code, when it ends by itself."""
        code = self.child.wait(timeout)
        for thread in self._threads:
            thread.join(5)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        for pipe in (self.child.stdout, self.child.stderr):
            if pipe is not None:
                pipe.close()


def body(tag, packed):
    return tag + b"\n\n" + packed


def pack(data):
    return msgpack.packb(data, use_bin_type=True)
