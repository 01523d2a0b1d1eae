import { readFile } from 'node:fs/promises';
import { Agent as PlainAgent, request as plainRequest } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import type { RecordedCall } from './recorded-calls.ts';

/** The files of a framework's double that a client needs. */
export type ClientFiles = Readonly<Record<string, unknown>>;

/** Makes the same calls in the same order, so many at once, and reads no answer but to its end. Answers the seconds that it took. */
export async function replay(
  url: string,
  files: ClientFiles,
  { calls, atOnce }: { readonly calls: readonly RecordedCall[]; readonly atOnce: number },
): Promise<number> {
  const base = new URL(url);
  const text = async (name: string): Promise<string | undefined> =>
    typeof files[name] === 'string' ? readFile(files[name], 'utf8') : undefined;
  const token = (await text('tokenFile'))?.trim();
  const proxy = await text('proxyFile');
  const tls = {
    cert: proxy ?? (await text('certificateFile')),
    key: proxy ?? (await text('keyFile')),
    ca: await text('caFile'),
  };
  const isTls = base.protocol === 'https:';
  const common = { keepAlive: true, maxSockets: atOnce };
  const agent = isTls ? new TlsAgent({ ...common, ...given(tls) }) : new PlainAgent(common);
  const send = ({ method, path, headers, body }: RecordedCall): Promise<void> =>
    new Promise((resolve, reject) => {
      const bytes = Buffer.from(body, 'base64');
      const call = (isTls ? tlsRequest : plainRequest)(
        {
          ...{ agent, hostname: base.hostname, port: base.port, method, path },
          headers: {
            ...headers,
            'content-length': bytes.length,
            ...(token !== undefined && { authorization: `Bearer ${token}` }),
          },
        },
        (answer) => answer.resume().once('end', resolve).once('error', reject),
      );
      call.once('error', reject);
      call.end(bytes);
    });
  const left = calls.values();
  const fromMs = performance.now();
  // All take from the same list.
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const call of left) await send(call);
    }),
  );
  const seconds = (performance.now() - fromMs) / 1000;
  agent.destroy();
  return seconds;
}

function given(options: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  const known = Object.entries(options).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  );
  return Object.fromEntries(known) as Readonly<Record<string, string>>;
}
