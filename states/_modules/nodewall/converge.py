# SPDX-License-Identifier: Apache-2.0
"""
Converge: brings the kernel to what rules and sets say; every function is called with the lock held.

``quick`` answers most events with one small listing and one transaction. ``whole`` reads everything, fetches, compares
and repairs. ``fetched`` and ``repaired`` are ``whole`` with the rules that were accepted last.

Invariant: disk first, then the kernel, or a crash in between would boot with an older set. A disk that is full or read-only
costs the boot cache and a warning, never a change.
"""

import hashlib
import logging

from . import boot, cache, confirm, kernel, protocol, report, rules, sets

log = logging.getLogger(__name__)


def _answer(result, cluster, version, comment="", count=None):
    found = {"result": result, "cluster": cluster}
    if version is not None:
        found.update(epoch=version.epoch, generation=version.generation, rv=version.rv, digest=version.digest)
        count = version.count if count is None else count
    if count is not None:
        found["count"] = count
    if comment:
        found["comment"] = comment
    return found


def _config(folder):
    """The rules that were accepted last, or None."""
    return rules.kept(cache.load_rules(folder))


def quick(folder, cluster, header, chain):
    """The answer if it takes no fetch: have, not-mine, or applied by deltas. None if it does."""
    held = (kernel.markers() or {}).get(cluster)
    if held is None:
        config = _config(folder)
        return None if config and cluster in rules.named_sets(config) else _answer("not-mine", cluster, None)
    if header is None:
        return None
    if sets.order(held, header) in (sets.SAME, sets.OLDER):
        return _answer("have", cluster, held, count=header.count if held.digest == header.digest else None)
    steps = sets.continuing(chain, held) if held.epoch == header.epoch else []
    if not steps or (steps[-1].generation, steps[-1].digest) != (header.generation, header.digest):
        return None
    added, removed = sets.fold(steps)
    # Networks may lie within one another, and additions of another store may be there: that takes the whole set.
    if not all(map(sets.is_host, list(added) + list(removed))) or cache.has_extras(folder, cluster):
        return None
    added = sets.dated(added, header.as_of)
    _keep(lambda: _remember(folder, cluster, steps, header, added, removed))
    try:
        kernel.run(kernel.change(cluster, held, header, added, removed))
    except kernel.Failed as error:
        log.info("nodewall: %s: the deltas don't fit (%s); fetching the set", cluster, error)
        return None
    return _answer("applied", cluster, header)


def _remember(folder, cluster, steps, header, added, removed):
    short = cache.append(folder, cluster, steps, header.as_of)
    kept = None if short else cache.load(folder, cluster)
    if kept:
        cache.save(folder, cluster, kept)
    if not boot.append(folder, cluster, header, added, removed) or kept:
        _rewrite_boot(folder)


def _rewrite_boot(folder, known=()):
    """What a boot begins with, from the rules and sets on disk; ``known`` {name: Kept or None} are those read already."""
    saved = cache.load_rules(folder) or {}
    if "segments" not in saved:
        return
    found = {name: known[name] if name in known else cache.load(folder, name) for name in saved.get("sets", ())}
    clusters = {name: (kept.version, kept.everything()) if kept else (None, {}) for name, kept in found.items()}
    boot.write(folder, saved["print"], clusters, saved["segments"], saved["config"]["mode"] == "set-only")


def _boot_current(folder, target, plans):
    versions = {name: plan.version for name, plan in plans.items() if plan.version}
    return boot.current(folder, target["print"], versions)


def _keep(write):
    """Runs a write to the disk; returns warnings."""
    try:
        write()
    except OSError as error:
        log.warning("nodewall: what is applied can't be kept for the next boot: %s", error)
        return ["what is applied can't be kept for the next boot: {}".format(error)]
    return []


def fetched(folder, cluster, fetch, accept=False):
    """update's way with a whole set; after a flush everything that was applied is rebuilt."""
    config = _config(folder)
    done = whole(folder, config, lambda name: fetch(name) if name == cluster else None, accept=accept, rebuilding=fetch)
    plan = done["plans"].get(cluster)
    if plan is None:
        return _answer("not-mine", cluster, None)
    if plan.version is None or plan.result == "kept":
        return _answer("failed", cluster, plan.version, plan.comment)
    if plan.result == "conflict":
        return _answer("conflict", cluster, plan.version, plan.comment)
    answer = _answer("fetched" if done["changed"] else "have", cluster, plan.version, done["comment"])
    return dict(answer, warnings=done["warnings"]) if done["warnings"] else answer


def repaired(folder, fetch, test):
    """What was applied last, rebuilt where it isn't so any more; with ``fetch`` None from the disk alone."""
    config = _config(folder)
    if config is None:
        return {"result": "have", "comment": "nothing was ever applied here", "changes": {}, "clusters": {}, "warnings": []}
    return whole(folder, config, fetch or (lambda name: None), test=test)


def whole(folder, config, fetch, test=False, accept=False, rebuilding=None, reached=None):
    """
    Makes the table what ``config`` says (None: leave rules alone, look at the sets that are there). ``fetch`` gives a
    cluster's set, a sentence, or None; ``rebuilding`` takes its place when the table is gone. ``reached(seconds)``: whether
    the master is, on a new connection; asked after new rules if ``config`` wants them confirmed. None: not asked, for the
    rules aren't new, they only waited for their cluster.
    """
    table, saved = kernel.read(), cache.load_rules(folder) or {}
    fetch = rebuilding if rebuilding and table is None else fetch
    previous = rules.effective(saved)
    names = _concerned(config, previous) if config else set(table.markers if table else ())
    plans, kept = {}, {}
    for name in sorted(names):
        kept[name] = cache.load(folder, name)
        marker = table.markers.get(name) if table else None
        in_kernel = table.members.get(name) if table else None
        plans[name] = protocol.plan(marker, in_kernel, kept[name], fetch(name), accept)
    target = _target(config, plans, previous, saved.get("guarded") or [])
    deltas = _deltas(plans, table)
    changes = _changes(target, plans, table, saved, deltas, None if test else report.SHOWN_MAX)
    script, rebuilt = _script(target, plans, table, saved, deltas)
    done = {
        "result": "applied" if script else "have",
        "comment": report.comment(changes) or ("only the version moved, no address did" if script else ""),
        "changes": changes,
        "clusters": {name: _public(plan) for name, plan in plans.items() if plan.version},
        "warnings": [_warning(rules.title(name, config), plan) for name, plan in plans.items() if plan.comment],
        "plans": plans,
        "changed": bool(script),
    }
    new_rules = target["print"] not in (None, saved.get("print"))
    if new_rules:
        # Before anything is written: a boot must not meet rules that nft refuses.
        kernel.run(target["bare"], only_check=True)
    if not test:
        seconds = config["confirm"] if new_rules and reached and not target["set_only"] else 0
        timer = confirm.arm(folder, seconds) if seconds else None
        warnings = _keep(lambda: _save_sets(folder, plans, kept))
        try:
            _run(script, target, plans)
        except kernel.Failed:
            if timer:
                confirm.keep(folder, timer)
            raise
        if timer and not _confirmed(folder, timer, reached, seconds):
            return _reverted(done, seconds)
        done["warnings"] += warnings + _keep(lambda: _save_rules(folder, config, target, plans, saved, rebuilt))
        if config and (table and not table.markers or not _boot_current(folder, target, plans)):
            done["warnings"] += _keep(lambda: _rewrite_boot(folder, kept))
    _incomplete(done, config, target, plans)
    return done


def _confirmed(folder, timer, reached, seconds):
    """After new rules; if the master isn't reached, the former ones are back."""
    if reached(max(seconds - confirm.SPARE, seconds / 2)):
        return confirm.keep(folder, timer)
    confirm.revert(folder, timer)
    return False


def _reverted(done, seconds):
    said = "the master couldn't be reached over a new connection within {} s after the new rules; the former ones are back"
    done.update(result="failed", comment=said.format(seconds), changes={})
    return done


def _warning(title, plan):
    if plan.result == "conflict" or plan.version is None:
        return "{}: {}".format(title, plan.comment) if plan.result == "conflict" else plan.comment
    return "{}; the set that is applied stays, it is {}".format(plan.comment, report.spoken(report.age(plan.version.as_of)))


def _concerned(config, previous):
    """
    The clusters that the rules name, and those that the former version of one of them names: should a rule have to wait,
    the former one goes on, and must not go on with old addresses.
    """
    former = {name: previous[name] for name in set(previous) & set(config["rules"])}
    return set(rules.named_sets(config)) | set(rules.named_sets({"rules": former}))


def _run(script, target, plans):
    """
    What nft can't do by single elements (a network in place of one that overlaps it) or what doesn't fit what was just
    read is done by making the table anew; still one transaction, and the same result.
    """
    try:
        if script:
            kernel.run(script)
    except kernel.Failed as error:
        anew = "" if target["segments"] is None else _anew(target, plans, again=True)
        if anew in ("", script):
            raise
        log.info("nodewall: %s; making the table anew", error)
        kernel.run(anew)


def _anew(target, plans, again=False):
    """``again``: after the first attempt failed."""
    clusters = {name: (plan.version, protocol.expected(plan)) for name, plan in plans.items()}
    if target["set_only"]:
        # What is there is looked at again: somebody may just have loaded rules that name our sets.
        return kernel.sets_only(clusters, kernel.read(), target["leftover"], delete=not again)
    return kernel.whole(clusters, target["segments"])


def _incomplete(done, config, target, plans):
    if any(plan.result == "conflict" for plan in plans.values()) and done["result"] == "have":
        done["result"] = "conflict"
    if target["left_out"]:
        missing = sorted(rules.title(name, config) for name, plan in plans.items() if plan.version is None)
        done["result"] = "incomplete"
        done["comment"] = "rule {} isn't installed: {} was never synced (`closed: true` installs it all the same)".format(
            ", ".join(target["left_out"]), ", ".join(missing)
        )


def _target(config, plans, previous, guarded):
    """What the table shall be; takes out of ``plans`` the clusters that no rule needs after all."""
    missing = [name for name, plan in plans.items() if plan.version is None]
    set_only = (config or {}).get("mode") == "set-only"
    if config is None:
        return {"segments": None, "effective": None, "left_out": [], "guarded": [], "print": None, "set_only": set_only}
    segments, effective, left_out = rules.compile(config, missing, previous, guarded)
    for name in set(plans) - set(rules.named_sets(config)) - set(rules.named_sets({"rules": effective})):
        del plans[name]
    bare = {name: (None, {}) for name in plans}
    bare = kernel.sets_only(bare) if set_only else kernel.whole(bare, segments)
    spans = [{"proto": proto, "low": low, "high": high} for proto, low, high in guarded]
    return {
        "set_only": set_only,
        "leftover": kernel.chains(spans),
        "bare": bare,
        "segments": segments,
        "effective": effective,
        "left_out": left_out,
        "guarded": rules.guarded_by(segments),
        "print": hashlib.sha256(bare.encode()).hexdigest(),
    }


def _deltas(plans, table):
    """{cluster: (added, removed)} as members with their labels; what the kernel has, and what it shall have."""
    found = {}
    for name, plan in sorted(plans.items()):
        have = table.members.get(name, {}) if table else {}
        members = protocol.expected(plan)
        wanted = kernel.installed(members)
        added = {rec: members[rec] for rec in wanted if rec not in have}
        found[name] = (added, {rec: label for rec, label in have.items() if rec not in wanted})
    return found


def _script(target, plans, table, saved, deltas):
    """(the transaction, or "" if there is nothing to do; whether it makes the table anew)"""
    if not _intact(target, table, saved):
        if target["print"] is None:
            raise kernel.Failed("the table isn't whole, and the rules that made it are not known; run nodewall.apply")
        return _anew(target, plans), True
    parts = []
    for name, plan in sorted(plans.items()):
        marker = table.markers.get(name)
        if plan.version is not None and (any(deltas[name]) or _moved(plan, marker)):
            renamed = _renamed(name, protocol.expected(plan), table.members.get(name, {}))
            added, removed = deltas[name]
            parts.append(kernel.change(name, marker, plan.version, {**added, **renamed}, list(removed) + list(renamed)))
    return "".join(parts), False


def _renamed(cluster, members, have):
    """What stays, but stands for another node than the kernel says."""
    return {rec: members[rec] for rec, old in have.items()
            if rec in members and old.partition(" ")[0] != kernel.node(cluster, members[rec])}


def _intact(target, table, saved):
    if table is None or table.strange:
        return False
    return target["print"] is None or (saved.get("print") == target["print"] and saved.get("shape") == table.shape(target["set_only"]))


def _moved(plan, marker):
    return marker is None or plan.version[:2] != marker[:2]


def _drift(target, plans, table, saved, deltas):
    """What somebody else did, or ""."""
    if table is None:
        return "the table was gone" if saved.get("effective") else ""
    if target["print"] is not None:
        if table.strange or saved.get("print") == target["print"] and saved.get("shape") != table.shape(target["set_only"]):
            return "the table was changed by somebody else"
    for name, plan in sorted(plans.items()):
        if plan.version is None or plan.result not in ("have", "kept"):
            continue
        marker = table.markers.get(name)
        if marker is None and _intact(target, table, saved):
            return "the version of {} was taken away by somebody else".format(name)
        if marker and any(deltas[name]) and not _moved(plan, marker):
            return "members of {} were changed by somebody else".format(name)
    return ""


def _changes(target, plans, table, saved, deltas, limit):
    drift = _drift(target, plans, table, saved, deltas)
    before = rules.effective(saved) if table else {}
    after = before if target["effective"] is None else target["effective"]
    members = {name: protocol.expected(plan) for name, plan in plans.items()}
    return report.changes((before, table.members if table else {}), (after, members), deltas, drift, limit)


def _public(plan):
    keys = ("epoch", "generation", "digest")
    found = {key: getattr(plan.version, key) for key in keys}
    return dict(found, count=len(plan.members))


def _save_sets(folder, plans, kept):
    """``kept`` is what the disk has, before and after."""
    saved = False
    for name, plan in plans.items():
        if plan.version is not None and plan.version.count is not None and (
            kept.get(name) is None or (plan.version, plan.extras) != (kept[name].version, kept[name].extras)
        ):
            now = cache.Kept(plan.version, plan.members, plan.extras)
            cache.save(folder, name, now)
            kept[name] = now
            saved = True
    if saved:
        _rewrite_boot(folder, kept)


def _save_rules(folder, config, target, plans, saved, rebuilt):
    """After the kernel: the shape of the table is read there. Sets that no rule names any more go last."""
    if config is None:
        return
    value = {key: target[key] for key in ("effective", "guarded", "print", "segments")}
    value["sets"] = sorted(plans)
    value.update(config=config, shape=saved.get("shape"))
    if rebuilt or value["shape"] is None:
        value["shape"] = kernel.shape(target["set_only"])
    if dict(value, v=1) != saved:
        cache.save_rules(folder, value)
    for name in set(cache.clusters(folder)) - set(plans):
        cache.forget(folder, name)
