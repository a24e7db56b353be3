#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A real systemd as the first process of namespaces of its own: `unshare -m -p -f -u -i -n -C sh systemd.sh FOLDER`, by test_boot.py.
# /etc and /var are overlays, /run is empty: the host's own are not touched. FOLDER has minion/ (nodewall's directory), the unit, and
# probe (a script); what it prints comes to FOLDER/said. nftables.service is Debian's, in short.
set -eu
folder=$1
mount --make-rprivate /
mkdir "$folder/over" && mount -t tmpfs none "$folder/over"
for name in etc var; do
    mkdir "$folder/over/$name.upper" "$folder/over/$name.work"
    mount -t overlay none -o "lowerdir=/$name,upperdir=$folder/over/$name.upper,workdir=$folder/over/$name.work" "/$name"
done
mount -t tmpfs none /run
mount -t proc none /proc
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 none /sys/fs/cgroup
ip link set lo up

units=/etc/systemd/system
# Nothing of the host starts, only what is asked for and sysinit.target, whose wishes are these two.
mount -t tmpfs none $units
mkdir -p $units/sysinit.target.wants $units/nftables.service.wants
cp "$folder/nodewall-restore.service" $units/
for name in systemd-udevd systemd-udev-trigger systemd-journald systemd-journal-flush systemd-tmpfiles-setup systemd-sysctl systemd-modules-load systemd-sysusers \
    systemd-networkd systemd-resolved systemd-timesyncd systemd-random-seed systemd-update-utmp systemd-machine-id-commit; do
    ln -s /dev/null "$units/$name.service"
done
cat >$units/nftables.service <<'END'
[Unit]
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target
DefaultDependencies=no
[Service]
Type=oneshot
RemainAfterExit=yes
StandardInput=null
ExecStart=/usr/sbin/nft -f /etc/nftables.conf
ExecReload=/usr/sbin/nft -f /etc/nftables.conf
ExecStop=/usr/sbin/nft flush ruleset
END
printf 'flush ruleset\ntable inet theirs { }\n' >/etc/nftables.conf
# What `systemctl enable` makes of WantedBy.
ln -s ../nftables.service ../nodewall-restore.service $units/sysinit.target.wants/
ln -s ../nodewall-restore.service $units/nftables.service.wants/
printf '[Unit]\nRequires=probe.service\n' >$units/probe.target
cat >$units/probe.service <<END
[Unit]
After=sysinit.target network-pre.target
[Service]
Type=oneshot
ExecStart=/bin/sh $folder/probe
StandardOutput=append:$folder/said
StandardError=append:$folder/said
END
for init in /usr/lib/systemd/systemd /lib/systemd/systemd; do
    # Its reboot(2) ends this PID namespace and nothing else.
    [ ! -x $init ] || container=unshare exec $init --system --unit=probe.target --log-target=null
done
exit 1
