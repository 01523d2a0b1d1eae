// Whether parts of an installation are well, for the health checks of containers: every control socket (a path) answers, every
// port of the loopback interface (`:5671`) is open, and there is a connection to every port named as `to:5671`.
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';

const LIMIT_MS = 9000;
const ESTABLISHED = '01';

function answers(socketPath) {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: '/' }, (answer) => answer.resume().once('end', resolve))
      .once('error', reject)
      .end();
  });
}

function isOpen(port) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket.destroy())).once('error', reject);
  });
}

/** As the kernel lists connections: the other side's address and port, then the state, in hex. */
function isConnected(port) {
  const digits = port.toString(16).toUpperCase().padStart(4, '0');
  const lines = ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/net/${name}`, 'utf8').split('\n'));
  const columns = lines.map((line) => line.trim().split(/\s+/));
  if (!columns.some(([, , other, state]) => other?.endsWith(`:${digits}`) && state === ESTABLISHED))
    throw new Error(`no connection to port ${port}`);
}

async function check(what) {
  if (what.startsWith('/')) return answers(what);
  if (what.startsWith(':')) return isOpen(Number(what.slice(1)));
  return isConnected(Number(what.replace('to:', '')));
}

setTimeout(() => {
  console.error('no answer in time');
  process.exit(1);
}, LIMIT_MS).unref();
await Promise.all(process.argv.slice(2).map(check));
