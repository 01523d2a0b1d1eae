import { request } from 'node:http';
import { CoPilotError, type ErrorCode } from '../protocol/errors.ts';
import { hereOf } from './configuration/role-configurations.ts';
import { createControlClient, type ControlClient } from './control-client.ts';
import { controlSocket, type Installation, readInstallation, type Role } from './installation.ts';
import { createResultStore, type ResultStore } from './result-store.ts';

/** What a command needs of a running installation. */
export interface Connection {
  readonly installation: Installation;
  readonly queue: ControlClient;
  readonly results: ResultStore;
}

const ANSWER_MS = 30_000;

/** Throws `UNREACHABLE` where there is no installation in the directory. */
export async function connect(directory: string): Promise<Connection> {
  const installation = await readInstallation(directory);
  if (installation === undefined) {
    throw new CoPilotError(
      'UNREACHABLE',
      `there is no installation in ${directory}; start one with \`co-pilot up\`, or name its directory with --data`,
    );
  }
  const { host, port, operatorToken } = installation.configurations.bridge;
  return {
    installation,
    queue: createControlClient({ socketPath: controlSocket(directory, 'local') }),
    results: createResultStore({ url: `http://${hereOf(host)}:${port}`, operatorToken }),
  };
}

/** Asks the running broker something over its control socket; the answer is ours, hence typed by the caller. */
export async function askBroker<T>(
  directory: string,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<T> {
  return askRole(directory, 'broker', method, path, body);
}

/** As `askBroker`, of any role that runs. */
export async function askRole<T>(
  directory: string,
  role: Role,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: object,
): Promise<T> {
  const { status, text } = await exchange(controlSocket(directory, role), method, path, body).catch(
    (cause: unknown) => {
      throw new CoPilotError('UNREACHABLE', `the ${role} does not answer; is \`co-pilot up\` running?`, {
        cause,
      });
    },
  );
  const answer = JSON.parse(text) as T & { readonly code?: ErrorCode; readonly message?: string };
  if (status < 300) return answer;
  throw new CoPilotError(answer.code ?? 'INTERNAL', answer.message ?? `the ${role} answered ${status}`);
}

function exchange(
  socketPath: string,
  method: string,
  path: string,
  body: object | undefined,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers =
      payload === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
    const call = request({ socketPath, method, path, headers, timeout: ANSWER_MS }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => {
        text += chunk;
      });
      answer.once('end', () => resolve({ status: answer.statusCode ?? 500, text }));
      answer.once('error', reject);
    });
    call.once('timeout', () => call.destroy(new Error('no answer in time')));
    call.once('error', reject);
    call.end(payload);
  });
}
