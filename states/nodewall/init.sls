# SPDX-License-Identifier: Apache-2.0
# The firewall that pillar's nodewall:rules describe, also at boot.
include:
  - nodewall.boot
{#- A highstate syncs modules by itself; `state.apply nodewall` doesn't, so the first one on a fresh minion does it here. #}
{%- set fresh = 'nodewall.apply' not in salt %}
{%- if fresh %}
{%-   do salt['saltutil.sync_modules']() %}
{%-   do salt['saltutil.sync_states']() %}

nodewall-loaded:
  test.nop:
    - force_reload_modules: true
    - require_in:
      - nodewall: nodewall
{%- endif %}

{%- if not salt['cmd.which']('nft') %}

nodewall-nft:
  pkg.installed:
    - name: nftables
    - require_in:
      - nodewall: nodewall
{%- endif %}

nodewall:
  nodewall.applied
