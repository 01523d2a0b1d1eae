#!/bin/sh
# The first process of fresh mount, process, IPC and UTS namespaces. Builds a root that holds only what is named, moves into
# it, drops the old one, runs the command as its child and ends as that ends.
# usage: unshare.sh TMP_BYTES UID GID WORK_DIRECTORY [directory PATH | read PATH | write PATH | hide-directory PATH |
#        hide-file PATH | link PATH TARGET]... -- COMMAND...
set -eu
umask 022
tmp_bytes=$1
uid=$2
gid=$3
work=$4
shift 4

# The new root covers a directory that holds nothing we must still find, and no mount that would look like one of ours.
choose_root() {
  mounts=$(cat /proc/self/mountinfo)
  for root in /mnt /media /srv /opt; do
    [ -d "$root" ] || continue
    needed=no
    case $mounts in *" $root/"*) needed=yes ;; esac
    for argument in "$@"; do
      case $argument/ in "$root"/*) needed=yes ;; esac
    done
    [ "$needed" = yes ] || return 0
  done
  echo 'no directory of /mnt, /media, /srv and /opt is free to build a root on' >&2
  exit 1
}

place() {
  if [ -d "$1" ]; then
    mkdir -p "$root$2"
  else
    mkdir -p "$root${2%/*}"
    [ -e "$root$2" ] || : >"$root$2"
  fi
}

bind() {
  place "$1" "$2"
  mount --rbind "$1" "$root$2"
}

# What a remount may not lose where the mount came from outside our user namespace.
kept_options() {
  kept=
  IFS=,
  for option in $1; do
    case $option in
    ro | nosuid | nodev | noexec | noatime | nodiratime | relatime) kept=$kept,$option ;;
    esac
  done
  unset IFS
}

# Everything below the new root becomes read-only, without devices and without set-user-id programs; the work directory,
# the private places and the few devices stay writable.
protect() {
  while read -r _ _ _ _ point options _; do
    point=$(printf '%b.' "$point")
    point=${point%.}
    case $point/ in
    "$root/proc"/* | "$root/dev"/* | "$root/tmp/") continue ;;
    "$root$work"/*) access=nodev ;;
    "$root"/?*) access=nodev,ro ;;
    *) continue ;;
    esac
    kept_options "$options"
    mount -o "remount,bind,nosuid,$access$kept" none "$point"
  done </proc/self/mountinfo
}

choose_root "$@"
mount -t tmpfs -o mode=0755,size=4m,nosuid,nodev none "$root"
mkdir "$root/proc" "$root/dev" "$root/tmp" "$root/mnt" "$root/etc" "$root/var" "$root/.old"
mount -t proc -o nosuid,nodev,noexec none "$root/proc"
mount -t tmpfs -o "mode=1777,size=$tmp_bytes,nosuid,nodev" none "$root/tmp"
ln -s /tmp "$root/var/tmp"
for device in null zero full random urandom tty; do bind "/dev/$device" "/dev/$device"; done
mkdir "$root/dev/shm"
mount -t tmpfs -o "mode=1777,size=$tmp_bytes,nosuid,nodev" none "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
for descriptor in 0:stdin 1:stdout 2:stderr; do
  ln -s "/proc/self/fd/${descriptor%%:*}" "$root/dev/${descriptor#*:}"
done
cat >"$root/etc/passwd" <<PASSWD
root:x:0:0:root:/nonexistent:/usr/sbin/nologin
job:x:$uid:$gid:job:$work:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
PASSWD
cat >"$root/etc/group" <<GROUP
root:x:0:
job:x:$gid:
nogroup:x:65534:
GROUP

while [ "$1" != -- ]; do
  case $1 in
  directory) mkdir -p "$root$2" ;;
  read | write) bind "$2" "$2" ;;
  hide-directory)
    mkdir -p "$root$2"
    mount -t tmpfs -o mode=0755,size=64k,nosuid,nodev none "$root$2"
    ;;
  hide-file) bind /dev/null "$2" ;;
  link)
    ln -s "$3" "$root$2"
    shift
    ;;
  *) exit 1 ;;
  esac
  shift 2
done
shift
protect

cd "$root"
pivot_root . .old
cd /
umount -l /.old
rmdir /.old
mount -o remount,bind,ro,nosuid,nodev none /
ip link set lo up 2>/dev/null || :

set +e
"$@"
exit $?
