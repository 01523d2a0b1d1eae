import { readFile } from 'node:fs/promises';
import { Agent as PlainAgent, request as plainRequest } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import type { CallTarget, RecordedCall } from './recorded-calls.ts';

/** The files of a framework's double that a client needs. */
export type ClientFiles = Readonly<Record<string, unknown>>;

/** Makes the same calls in the same order, so many at once, and reads no answer but to its end. Answers the seconds that it took. */
export async function replay(
  urls: Readonly<Record<CallTarget, string>>,
  files: ClientFiles,
  { calls, atOnce }: { readonly calls: readonly RecordedCall[]; readonly atOnce: number },
): Promise<number> {
  const text = async (name: string): Promise<string | undefined> =>
    typeof files[name] === 'string' ? readFile(files[name], 'utf8') : undefined;
  const token = (await text('tokenFile'))?.trim();
  const proxy = await text('proxyFile');
  const tls = {
    cert: proxy ?? (await text('certificateFile')),
    key: proxy ?? (await text('keyFile')),
    ca: await text('caFile'),
  };
  const lines = {
    framework: openLine(urls.framework, atOnce, given(tls)),
    bridge: openLine(urls.bridge, atOnce, {}),
  };
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const left = calls.values();
  const fromMs = performance.now();
  // All take from the same list.
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const call of left) await lines[call.to].send(call, authorization);
    }),
  );
  const seconds = (performance.now() - fromMs) / 1000;
  for (const line of Object.values(lines)) line.close();
  return seconds;
}

interface ClientLine {
  send(call: RecordedCall, headers: Readonly<Record<string, string>>): Promise<void>;
  close(): void;
}

function openLine(url: string, atOnce: number, tls: Readonly<Record<string, string>>): ClientLine {
  const base = new URL(url);
  const isTls = base.protocol === 'https:';
  const common = { keepAlive: true, maxSockets: atOnce };
  const agent = isTls ? new TlsAgent({ ...common, ...tls }) : new PlainAgent(common);
  return {
    send: ({ method, path, headers, body }, more) =>
      new Promise((resolve, reject) => {
        const bytes = Buffer.from(body, 'base64');
        const call = (isTls ? tlsRequest : plainRequest)(
          {
            ...{ agent, hostname: base.hostname, port: base.port, method, path },
            headers: { ...headers, 'content-length': bytes.length, ...more },
          },
          (answer) => answer.resume().once('end', resolve).once('error', reject),
        );
        call.once('error', reject);
        call.end(bytes);
      }),
    close: () => agent.destroy(),
  };
}

function given(options: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  const known = Object.entries(options).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  );
  return Object.fromEntries(known) as Readonly<Record<string, string>>;
}
