// Whether parts of an installation are well, for the health checks of containers: every control socket (a path) answers, and
// every port of the loopback interface (`:5671`) is open.
import { request } from 'node:http';
import { connect } from 'node:net';

const LIMIT_MS = 9000;

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

async function check(what) {
  return what.startsWith('/') ? answers(what) : isOpen(Number(what.replace(':', '')));
}

setTimeout(() => {
  console.error('no answer in time');
  process.exit(1);
}, LIMIT_MS).unref();
await Promise.all(process.argv.slice(2).map(check));
