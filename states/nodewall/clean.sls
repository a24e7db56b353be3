# SPDX-License-Identifier: Apache-2.0
# The mirror of init: takes nodewall's unit, table and cache away. The package stays, others may use it.
# Take the rules out of pillar first, or the schedule applies them again.
{%- set units = salt['config.get']('nodewall_unit_dir', '/etc/systemd/system') %}
{%- if units == '/etc/systemd/system' and grains.get('init') == 'systemd' %}

nodewall-restore:
  service.dead:
    - enable: false
    - require_in:
      - file: nodewall-restore-unit
{%- endif %}

nodewall-restore-unit:
  file.absent:
    - name: {{ units }}/nodewall-restore.service

nodewall-cleaned:
  nodewall.cleaned
