#!/bin/sh
# Claims a one-use code, where this agent has not enrolled yet, and becomes the agent.
set -eu
mine="/codes/taken/$(hostname)"

# A file is renamed by one agent: the others find it gone.
claim() {
  for code in /codes/ready/*; do
    if mv "$code" "$mine" 2> /dev/null; then return 0; fi
  done
  return 1
}

if [ -s /agent/identity.json ]; then
  set --
else
  until [ -s "$mine" ] || claim; do sleep 1; done
  set -- --code-file "$mine"
fi
exec node /opt/co-pilot/co-pilot.ts agent run --directory /agent --ca /authority/ca.pem --drain "$DRAIN_SECONDS" "$@"
