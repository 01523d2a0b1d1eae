#!/bin/sh
# First in every chain: ends at once where the parent died before its death could be signalled, and, as root, gives the
# work directory to the job's own uid.
# usage: guard.sh PARENT_PID UID|- DIRECTORY COMMAND...
set -eu
[ "$PPID" = "$1" ] || exit 1
uid=$2
directory=$3
shift 3

if [ "$uid" != - ]; then
  # What the job's uid has already is handed to nobody: jobs link their own files, and a power cut leaves them so.
  linked=$(find "$directory" -xdev -type f -links +1 ! '(' -uid "$uid" -gid "$uid" ')' -print | head -n 1)
  if [ -n "$linked" ]; then
    # Another name of this file may lie anywhere: handing it over would hand over somebody else's file.
    echo "the work directory holds a file with more than one link: $linked" >&2
    exit 1
  fi
  chown -R -h -P "$uid:$uid" "$directory"
  chmod 0700 "$directory"
fi
exec "$@"
