#!/bin/sh
# Makes what an installation needs once: keys, secrets, a certificate, and what its bus server runs with. Said again, it keeps
# what is there.
set -eu
umask 077
co_pilot="node /opt/co-pilot/co-pilot.ts"

# An authority for this installation alone. Its key is not kept: nobody can make another certificate that agents believe.
if [ ! -e /tls/server.pem ]; then
  cd "$(mktemp -d)"
  ec="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc"
  openssl req -x509 $ec -days 3650 -subj "/CN=co-pilot" -keyout authority.key -out ca.pem 2> /dev/null
  openssl req $ec -subj "/CN=$PUBLIC_NAME" -keyout server.key -out server.csr 2> /dev/null
  echo "subjectAltName=DNS:$PUBLIC_NAME" > names
  openssl x509 -req -in server.csr -CA ca.pem -CAkey authority.key -CAcreateserial -days 3650 -extfile names \
    -out server.pem 2> /dev/null
  rm authority.key
  cp server.key /tls/server.key
  cat server.pem server.key > /tls/gate.pem
  cp ca.pem /authority/ca.pem
  chmod 0755 /authority
  chmod 0644 /authority/ca.pem
  # Last: it says that all is there.
  cp server.pem /tls/making
  mv /tls/making /tls/server.pem
  cd /
fi

if [ "${COPILOT_BUS__KIND:-websocket}" = websocket ]; then
  [ -e /data/bridge/config.json ] || $co_pilot up --no-demo --agents 0 --once
else
  cp /authority/ca.pem /tls/server.pem /tls/server.key /bus
  $co_pilot bus config "$COPILOT_BUS__KIND" --to /bus
fi
