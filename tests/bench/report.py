# SPDX-License-Identifier: Apache-2.0
"""Figures, percentiles and the table of ./dev bench. Measures nothing and knows no row.

Invariant: a percentile that the number of samples can't carry is not made up: p95 needs 20 of them, p99 needs 100; below that the cell
is empty, and the largest sample is there for all.
"""
import json
import math

NEEDS = {"p50": 1, "p95": 20, "p99": 100}


def percentile(samples, share):
    """The nearest-rank percentile: one of the samples, nothing between two."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(samples):
    """{p50, p95, p99, max, n}; None where there are too few samples."""
    found = {name: percentile(samples, int(name[1:]) / 100) if len(samples) >= least else None for name, least in NEEDS.items()}
    return {**found, "max": max(samples), "n": len(samples)}


class Figure:
    """One line: what was measured, its reference, and how the two compare.

    `compare`: "difference" or "ratio" of the medians, or "value", the median itself. With `pairs`, the differences of each sample to its own
    reference, their median is what is compared.
    `goal`: the largest value of that comparison which is good enough; None: there is no goal, the line is there to be read.
    """

    def __init__(self, row, what, unit, samples, reference_what="", reference=(), compare="difference", pairs=None, goal=None, note=""):
        self.row, self.what, self.unit, self.reference_what, self.compare, self.goal, self.note = row, what, unit, reference_what, compare, goal, note
        self.measured, self.reference = spread(samples), spread(reference) if reference else None
        self.pairs = spread(pairs) if pairs else None
        self.value = None
        if self.pairs:
            self.value = self.pairs["p50"]
        elif compare == "value":
            self.value = self.measured["p50"]
        elif self.reference:
            ours, theirs = self.measured["p50"], self.reference["p50"]
            self.value = ours - theirs if compare == "difference" else ours / theirs if theirs else None

    @property
    def met(self):
        """True, False, or None without a goal."""
        return None if self.goal is None else self.value is not None and self.value <= self.goal

    def as_json(self):
        return {"row": self.row, "what": self.what, "unit": self.unit, "measured": self.measured, "reference": self.reference_what or None,
                "reference_measured": self.reference, "compare": self.compare if self.value is not None else None, "value": self.value,
                "pairs": self.pairs, "goal": self.goal, "met": self.met, "note": self.note}


def number(value):
    """Three digits that mean something."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _cells(row, what, unit, found, compared="", goal="", met=""):
    return [row, what, unit, str(found["n"]), *(number(found[name]) for name in ("p50", "p95", "p99", "max")), compared, goal, met]


def _compared(figure):
    if figure.value is None:
        return "", "", ""
    before, after = {"ratio": ("", "x"), "difference": ("+" if figure.value > 0 else "", ""), "value": ("", "")}[figure.compare]
    value = f"{before}{number(figure.value)}{after}"
    goal = "" if figure.goal is None else f"<= {before}{figure.goal:g}{after}"
    return value, goal, {True: "met", False: "MISSED", None: ""}[figure.met]


def table(figures):
    """The figures for people: a line each, below it its reference."""
    rows = [["row", "what", "unit", "n", "p50", "p95", "p99", "max", "compared", "goal", ""]]
    for figure in figures:
        rows.append(_cells(figure.row, figure.what, figure.unit, figure.measured, *_compared(figure)))
        if figure.reference:
            rows.append(_cells("", f"  beside: {figure.reference_what}", figure.unit, figure.reference))
        if figure.pairs:
            rows.append(_cells("", "  sample by sample, less its own reference", figure.unit, figure.pairs))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) if column < 3 else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths))).rstrip()
             for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    notes = [f"{figure.row}: {figure.note}" for figure in figures if figure.note]
    return "\n".join(lines + ([""] + notes if notes else []))


def as_json(figures, machine, problems):
    """Everything, for programs. `problems`: {rows: why they could not be measured}."""
    return json.dumps({"machine": machine, "figures": [figure.as_json() for figure in figures], "not_measured": problems}, indent=1)
