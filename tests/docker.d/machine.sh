#!/usr/bin/env bash
# Makes a folder the root of a separate machine within the current namespaces, and waits. It needs a real root instead of
# a chroot, because an engine cannot start containers in a chroot.
#   machine.sh ROOT PIDFILE
set -euo pipefail
root=$1
# /proc and this PID still belong to the outer namespace.
read -r outside _ </proc/self/stat
echo "$outside" >"$2"
mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount -t tmpfs -o mode=755 dev dev
mkdir dev/net dev/pts dev/shm
mount -t devpts -o ptmxmode=666,newinstance devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 fuse:10:229 net/tun:10:200; do
  IFS=: read -r name major minor <<<"$device"
  mknod -m 666 "dev/$name" c "$major" "$minor"
done
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
pivot_root . mnt
cd /
umount -l /mnt
mount --make-rshared /
hostname pixcolor-test
ip link set lo up
echo yes >/run/ready
# The first process of the machine also reaps orphaned processes.
while :; do
  sleep 3600 &
  wait $!
done
