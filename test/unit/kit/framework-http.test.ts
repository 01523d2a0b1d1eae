import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Credential, CredentialFiles } from '../../../adapters/jobs/kit/credential-files.ts';
import {
  createFrameworkHttp,
  type FrameworkCall,
  type FrameworkHttp,
  type FrameworkHttpOptions,
} from '../../../adapters/jobs/kit/framework-http.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { AUTHORITY, createIssuer } from '../../doubles/certificates.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

describe('HTTP to a framework', () => {
  let server: Server;
  let answer: Answer;
  let http: FrameworkHttp | undefined;
  let calls: FrameworkCall[];
  let sockets: Set<Duplex>;
  beforeEach(async () => {
    calls = [];
    sockets = new Set();
    server = createServer((request, response) => answer(request, response));
    server.on('connection', (socket) => void sockets.add(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(async () => {
    http?.stop();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const portOf = (of: Server): number => (of.address() as AddressInfo).port;
  const open = async (options: Partial<FrameworkHttpOptions> = {}): Promise<FrameworkHttp> => {
    const url = `http://127.0.0.1:${portOf(server)}/base/`;
    const bounds = { timeoutMs: 5_000, maxAnswerBytes: 1_000 };
    const onCall = (call: FrameworkCall): void => void calls.push(call);
    return (http = await createFrameworkHttp({ url, ...bounds, onCall, ...options }));
  };

  it('sends what it is given below the address, over connections that it keeps, and resolves with any status', async () => {
    const seen: string[] = [];
    answer = (request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        const { authorization, 'content-type': type } = request.headers;
        seen.push(`${request.method} ${request.url} ${type} ${authorization} ${body}`);
        response.writeHead(503, { 'x-why': 'down' }).end('no');
      });
    };
    await open();
    const headers = { 'content-type': 'text/plain' };
    const answered = await http!.send({ method: 'POST', path: '/a?b=%20', headers, body: 'text' });
    expect(answered).toMatchObject({ status: 503, headers: { 'x-why': 'down' } });
    expect(answered.body.toString()).toBe('no');
    await http!.send({ method: 'GET', path: '/again' });
    expect(seen).toEqual([
      'POST /base/a?b=%20 text/plain undefined text',
      'GET /base/again undefined undefined ',
    ]);
    expect(calls).toMatchObject([
      { method: 'POST', status: 503 },
      { method: 'GET', status: 503 },
    ]);
    for (let time = 0; time < 5; time++) await http!.send({ method: 'GET', path: '/' });
    expect(sockets.size).toBeLessThanOrEqual(2);
  });

  it('does not follow a redirect: the credential goes where the operator wrote', async () => {
    let asked = 0;
    answer = (_request, response) => {
      asked++;
      response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
    };
    await open();
    expect(await http!.send({ method: 'GET', path: '/' })).toMatchObject({ status: 302 });
    expect(asked).toBe(1);
  });

  it('gives up an answer that never comes, or never ends', async () => {
    const clock = createManualClock();
    await open({ clock });
    for (const hang of [
      () => undefined,
      (response: ServerResponse) => void response.writeHead(200).write('half'),
    ]) {
      const arrived = new Promise<void>((resolve) => {
        answer = (_request, response) => {
          hang(response);
          resolve();
        };
      });
      const sent = http!.send({ method: 'GET', path: '/', timeoutMs: 700 });
      const judged = expect(sent).rejects.toMatchObject({ code: 'TIMEOUT' });
      await arrived;
      clock.advance(700);
      await judged;
    }
    expect(clock.pending()).toBe(0);
    expect(calls).toMatchObject([{ status: 0 }, { status: 0 }]);
  });

  it.each<[string, Answer]>([
    [
      'is cut short',
      (_request, response) => {
        response.writeHead(200, { 'content-length': '100' }).write('half');
        response.socket?.end();
      },
    ],
    ['does not begin', (request) => void request.socket.destroy()],
    ['is no HTTP', (request) => void request.socket.end('garbage\r\n\r\n')],
    ['is too long', (_request, response) => void response.end('x'.repeat(1_001))],
    [
      'has a head without an end',
      (_request, response) => void response.setHeader('x', 'y'.repeat(40_000)).end(),
    ],
  ])('rejects an answer that %s', async (_what, how) => {
    answer = how;
    await open();
    await expect(http!.send({ method: 'GET', path: '/' })).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('rejects where nobody listens', async () => {
    await open({ url: 'http://127.0.0.1:1' });
    await expect(http!.send({ method: 'GET', path: '/' })).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('rejects what is under way when it is stopped, and what is sent afterwards', async () => {
    await open();
    const arrived = new Promise<void>((resolve) => {
      answer = () => resolve();
    });
    const hanging = expect(http!.send({ method: 'GET', path: '/' })).rejects.toMatchObject({
      code: 'UNREACHABLE',
    });
    await arrived;
    http!.stop();
    await hanging;
    await expect(http!.send({ method: 'GET', path: '/' })).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('sends the token of the moment, and opens new connections with a renewed credential', async () => {
    let version = 1;
    const credential: CredentialFiles = {
      current: (): Credential => {
        const own = version;
        return { version: own, expiresMs: undefined, tls: () => undefined, bearer: () => `token-${own}` };
      },
      stop: () => undefined,
    };
    const seen: (string | undefined)[] = [];
    answer = (request, response) => {
      seen.push(request.headers.authorization);
      response.end();
    };
    await open({ credential });
    await http!.send({ method: 'GET', path: '/' });
    version = 2;
    await http!.send({ method: 'GET', path: '/' });
    expect(seen).toEqual(['Bearer token-1', 'Bearer token-2']);
    expect(sockets.size).toBe(2);
  });

  it('shows its certificate, and believes only whom it is told to', async () => {
    const folder = await temporaryDirectory('framework-tls');
    const issue = createIssuer(folder);
    const authority = issue({ subject: '/CN=authority', extensions: AUTHORITY });
    const own = issue({
      subject: '/CN=server',
      issuer: authority,
      extensions: ['subjectAltName=IP:127.0.0.1'],
    });
    const robot = issue({ subject: '/CN=robot', issuer: authority });
    const tls = createTlsServer(
      { cert: own.pem, key: own.key, ca: authority.pem, requestCert: true },
      (request, response) => {
        const { socket } = request;
        response.end(socket instanceof TLSSocket ? String(socket.getPeerCertificate().subject.CN) : '');
      },
    );
    tls.on('connection', (socket) => void sockets.add(socket));
    tls.listen(0, '127.0.0.1');
    await once(tls, 'listening');
    try {
      const caFile = join(folder, 'authorities');
      await writeFile(caFile, authority.pem);
      const credential: CredentialFiles = {
        current: () => ({
          version: 1,
          expiresMs: undefined,
          tls: () => ({ cert: robot.pem, key: robot.key }),
          bearer: () => undefined,
        }),
        stop: () => undefined,
      };
      const url = `https://127.0.0.1:${portOf(tls)}`;
      const stranger = await open({ url });
      await expect(stranger.send({ method: 'GET', path: '/' })).rejects.toMatchObject({
        code: 'UNREACHABLE',
      });
      stranger.stop();
      await open({ url, caFile, credential });
      expect((await http!.send({ method: 'GET', path: '/' })).body.toString()).toBe('robot');
    } finally {
      http?.stop();
      tls.close();
      await removeDirectory(folder);
    }
  });
});
