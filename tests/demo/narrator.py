# SPDX-License-Identifier: Apache-2.0
"""What the demo prints: a column of times, short sentences, expectations that are met or not, and a summary that counts them.

Invariant: nothing is said to be as expected that wasn't passed to `expect` with what was measured; one expectation that fails makes
`summary` return 1. Colour only on a terminal (and not with NO_COLOR); plain ASCII, for any locale.
"""
import os
import sys
import time

STYLES = {"bold": "1", "dim": "2", "good": "32", "bad": "1;31", "what": "36"}
WIDTH = 118


class Narrator:
    def __init__(self, stream=sys.stdout):
        self.stream, self.start = stream, time.monotonic()
        self.colour = stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self.met, self.failed, self.figures = 0, [], []

    def paint(self, style, text):
        return f"\033[{STYLES[style]}m{text}\033[0m" if self.colour else text

    def write(self, text=""):
        self.stream.write(text + "\n")
        self.stream.flush()

    def line(self, text, style=None, at=None):
        stamp = f"{(time.monotonic() if at is None else at) - self.start:7.2f} s  "
        self.write(self.paint("dim", stamp) + (self.paint(style, text) if style else text))

    def scene(self, title):
        self.write()
        self.line(title, "bold")

    def say(self, text):
        self.line(text)

    def quote(self, text):
        """Something that a person could read in a file: indented, as it stands there."""
        for each in text.rstrip("\n").split("\n"):
            self.write(" " * 14 + self.paint("what", each))

    def timeline(self, zero, rows):
        """[(monotonic time, who, what)], told as seconds since `zero`, in the order of their times."""
        for at, who, what in sorted(rows):
            text = f"+{max(0.0, at - zero):.3f} s  {who:<8}{what}"
            self.write(" " * 14 + (text if len(text) <= WIDTH - 14 else text[:WIDTH - 17] + "..."))

    def expect(self, good, what, seen=""):
        """One expectation: `what` should be so; `seen` is what was measured."""
        mark = self.paint("good", "ok") if good else self.paint("bad", "NOT SO")
        self.line(f"{mark}  {what}{'   (' + seen + ')' if seen else ''}")
        if good:
            self.met += 1
        else:
            self.failed.append(what + (f" ({seen})" if seen else ""))
        return good

    def figure(self, name, value):
        """A number for the closing summary."""
        self.figures.append((name, value))

    def summary(self):
        self.write()
        self.line("In short", "bold")
        for name, value in self.figures:
            self.write(f"{'':14}{name + ' ' :.<62} {value}")
        for text in self.failed:
            self.write(" " * 14 + self.paint("bad", "not as expected: ") + text)
        self.write()
        total = self.met + len(self.failed)
        if self.failed:
            self.line(f"The promise does not hold: {len(self.failed)} of {total} expectations were not met.", "bad")
        else:
            self.line(f"All of it as promised: {total} expectations, each measured and met.", "good")
        return 1 if self.failed or not total else 0
