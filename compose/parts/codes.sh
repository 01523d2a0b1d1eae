#!/bin/sh
# Keeps a few one-use codes ready for agents that have not enrolled yet.
set -u
umask 077
mkdir -p /codes/ready /codes/taken
while :; do
  # A code is good for a day.
  find /codes/ready /codes/taken -type f -mmin +720 -delete
  if [ "$(ls /codes/ready | wc -l)" -ge "$STOCK" ]; then
    sleep 1
  elif node /opt/co-pilot/co-pilot.ts agent code --owner "$OWNER" --site "$SITE" > /codes/making; then
    mv /codes/making "/codes/ready/$(date +%s%N)"
  else
    sleep 5
  fi
done
