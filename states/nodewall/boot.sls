# SPDX-License-Identifier: Apache-2.0
# What is applied before there is a network: a unit of systemd that needs no Salt. Elsewhere, run <nodewall_dir>/restore at boot.
{%- set folder = salt['config.get']('nodewall_dir', '/var/lib/nodewall-minion') %}
{%- set units = salt['config.get']('nodewall_unit_dir', '/etc/systemd/system') %}
{%- set live = units == '/etc/systemd/system' %}

{%- if grains.get('init') == 'systemd' or not live %}

nodewall-restore-unit:
  file.managed:
    - name: {{ units }}/nodewall-restore.service
    - source: salt://nodewall/nodewall-restore.service
    - template: jinja
    - context:
        folder: {{ folder }}
    - mode: '0644'
    - makedirs: true
    # After nodewall.applied, which makes what the unit runs, and whether or not that failed.
    - order: last

{%-   if live %}

# Running, so that a reload of nftables.service reaches it. It loads what is applied already.
nodewall-restore:
  service.running:
    - enable: true
    - require:
      - file: nodewall-restore-unit
    - onlyif:
      - test -e {{ folder }}/restore
    - order: last
{%-   endif %}
{%- endif %}
