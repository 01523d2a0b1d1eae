#!/bin/sh
# Runs bwrap with a passwd and a group file of its own, handed over as descriptors so that they exist nowhere else.
# usage: bubblewrap.sh UID GID HOME BWRAP_ARGUMENT...
set -eu
uid=$1
gid=$2
home=$3
shift 3
exec bwrap --file 8 /etc/passwd --file 9 /etc/group "$@" 8<<PASSWD 9<<GROUP
root:x:0:0:root:/nonexistent:/usr/sbin/nologin
job:x:$uid:$gid:job:$home:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
PASSWD
root:x:0:
job:x:$gid:
nogroup:x:65534:
GROUP
