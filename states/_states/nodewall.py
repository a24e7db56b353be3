# SPDX-License-Identifier: Apache-2.0
"""
States: the firewall that pillar's ``nodewall:rules`` describe.

.. code-block:: yaml

    nodewall:
      nodewall.applied

Thin on purpose: rules, sets and transactions are the execution module's, and so is the lock under which it fetches the
newest sets. A state run whose pillar is old therefore brings old rules at worst, never old addresses.
"""

__virtualname__ = "nodewall"


def __virtual__():
    if "nodewall.apply" not in __salt__:
        return False, "the execution module nodewall isn't here; run saltutil.sync_modules"
    return __virtualname__


def applied(name, accept=False):
    """
    The rules of this run's pillar are applied, with the newest addresses that the master has.

    accept
        Take the master's sets even if they are of another store, or take away most of what is applied.
    """
    if __opts__["test"] and not __salt__["cmd.which"]("nft"):
        comment = "what would change can't be told before nft is here; it comes with the package nftables"
        return {"name": name, "result": None, "changes": {}, "comment": comment}
    pillar = __pillar__["nodewall"] if "nodewall" in __pillar__ else {}
    return _state(name, __salt__["nodewall.apply"](test=__opts__["test"], accept=accept, pillar=pillar))


def cleaned(name):
    """Nothing of nodewall is in the kernel or on the disk."""
    return _state(name, __salt__["nodewall.clean"](test=__opts__["test"]))


def _state(name, done):
    failed = done["result"] in ("failed", "locked", "incomplete")
    changes = done.get("changes", {})
    result = False if failed else None if changes and __opts__["test"] else True
    comment = done.get("comment") or ("changes are due" if result is None else "as it should be")
    ret = {"name": name, "result": result, "changes": changes, "comment": comment}
    if done.get("warnings"):
        ret["warnings"] = done["warnings"]
    return ret
