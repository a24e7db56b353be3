# SPDX-License-Identifier: Apache-2.0
"""
Source ``minions`` of nodewall: the addresses that minions put into the Salt mine.

Any execution module named ``nodewall_<kind>`` with a function ``addresses`` makes a source ``<kind>: VALUE``; this one is
also the example. It returns {address: name}, or a list; it raises when it can't tell. nodewall does the checking.
"""

ADDRESSES_MAX = 16
MINE = ("network.ip_addrs", "network.ip_addrs6")


def addresses(value, function=None, **_):
    """
    {address: minion} of the mine's ``function`` (unless said, both of network.ip_addrs and network.ip_addrs6) for the
    compound target ``value``.

    .. code-block:: bash

        salt db1 nodewall_minions.addresses 'L@app1,app2'
    """
    found = {}
    for key in (function,) if function else MINE:
        for minion, said in sorted((__salt__["mine.get"](value, key, tgt_type="compound") or {}).items()):
            # One minion's nonsense must not take away what the others say.
            said = [address for address in (said if isinstance(said, list) else [said]) if isinstance(address, str)]
            found.update({address: minion for address in said[:ADDRESSES_MAX] if address not in found})
    return found
