# SPDX-License-Identifier: Apache-2.0
# The mirror of init: takes nodewall's table and cache away. The package stays, others may use it.
# Take the rules out of pillar first, or the schedule applies them again.

nodewall-cleaned:
  nodewall.cleaned
