import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import type { NewJob, StoredFile, Work } from '../../../adapters/jobs/job-adapter.ts';
import { openCeiling } from '../../../adapters/jobs/kit/ceiling.ts';
import type { CredentialFiles } from '../../../adapters/jobs/kit/credential-files.ts';
import type { FrameworkAdapter, FrameworkParts } from '../../../adapters/jobs/kit/framework-adapter.ts';
import { createFrameworkHttp } from '../../../adapters/jobs/kit/framework-http.ts';
import type { OptionValue } from '../../../adapters/jobs/kit/framework-kind.ts';
import { adler32, adler32Hex } from '../../../protocol/adler32.ts';
import { createPandaAdapter } from '../../../adapters/jobs/panda/panda-adapter.ts';
import { openJobJournal } from '../../../adapters/jobs/kit/job-journal.ts';
import { openJobNotes } from '../../../adapters/jobs/panda/job-notes.ts';
import { readTakenJob } from '../../../adapters/jobs/panda/taken-job.ts';
import type { Log } from '../../../protocol/runtime/runtime.ts';
import { deafAccepted } from '../../doubles/deaf-accepted.ts';
import { deafRefusals } from '../../doubles/deaf-refusals.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { type PandaDouble, type PandaOptions, startPanda } from '../../doubles/panda/panda-server.ts';

export const AGENT = 'b'.repeat(26);
export const USAGE = { wallSeconds: 2, cpuSeconds: 1.6, memoryMiB: 16, diskMiB: 1 };

export interface World {
  readonly panda: PandaDouble;
  readonly clock: ManualClock;
  readonly adapter: FrameworkAdapter;
  readonly work: Work[];
  /** Inputs that were put into the Data Bridge, by digest. */
  readonly inputs: ReadonlyMap<string, Buffer>;
  /** Everything that the adapter logged. */
  readonly log: readonly string[];
  readonly setToken: (token: string) => void;
  /** One job of the double's, fetched and accepted. */
  readonly accepted: () => Promise<NewJob>;
  /** Ends the adapter without a word to anybody, and begins another one. */
  readonly reopen: () => Promise<void>;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly panda?: PandaOptions;
  readonly options?: Readonly<Record<string, OptionValue>>;
  readonly attempts?: number;
  /** Where taken jobs are kept. */
  readonly takenFile?: string;
  readonly timeoutMs?: number;
}

/** The adapter over the double, on one clock that the test turns, with a bridge that keeps inputs in memory. */
export async function openWorld(wanted: WorldOptions = {}): Promise<World> {
  const clock = createManualClock();
  const directory = await temporaryDirectory('panda');
  const panda = await startPanda({ clock, ...wanted.panda });
  const bridge = await startBridge();
  const lines: string[] = [];
  const write = (level: string) => (fields: object, text: string) =>
    void lines.push(`${level} ${text} ${JSON.stringify(fields, errorText)}`);
  const log: Log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  let token = panda.token({ expiresInSeconds: 30 * 86_400 });
  let version = 1;
  const credential: CredentialFiles = {
    current: () => ({ version, expiresMs: undefined, tls: () => undefined, bearer: () => token }),
    stop: () => undefined,
  };
  const work: Work[] = [];
  let stop: (() => Promise<void>) | undefined;

  const open = async (): Promise<FrameworkAdapter> => {
    const http = await createFrameworkHttp({
      url: panda.url,
      credential,
      timeoutMs: wanted.timeoutMs ?? 60_000,
      maxAnswerBytes: 1024 * 1024,
      clock,
    });
    const parts: FrameworkParts = {
      clock,
      random: nodeRandom,
      log,
      name: 'panda',
      settings: {
        kind: 'panda',
        url: panda.url,
        queues: { main: 'CP_TEST' },
        credential: {},
        attempts: wanted.attempts ?? 1,
        options: {
          origin: 'atlas.production',
          label: 'unified',
          inputs: { CP_DISK: `${panda.url}/rucio` },
          ...wanted.options,
        },
      },
      http,
      openHttp: () => Promise.resolve(http),
      credential,
      ceiling: await openCeiling(undefined, { clock, log }),
      refused: deafRefusals,
      accepted: deafAccepted,
      bridge: { url: bridge.url, token: 'operator-token-of-the-test' },
    };
    const journal = await openJobJournal({ path: wanted.takenFile, read: readTakenJob });
    const adapter = await createPandaAdapter(
      parts,
      journal,
      await openJobNotes(join(directory, 'job-notes')),
    );
    adapter.onWork((news) => work.push(news));
    stop = async () => {
      await adapter.stop();
      http.stop();
    };
    return adapter;
  };

  let adapter = await open();
  return {
    panda,
    clock,
    get adapter() {
      return adapter;
    },
    work,
    inputs: bridge.inputs,
    log: lines,
    setToken(next) {
      token = next;
      version += 1;
    },
    async accepted() {
      const { jobs } = await adapter.fetch('main', 1, []);
      const [job] = jobs;
      if (job === undefined) throw new Error(`no job was fetched: ${lines.join('\n')}`);
      await adapter.fetch('main', 0, [job.job]);
      return job;
    },
    async reopen() {
      await stop?.();
      adapter = await open();
    },
    async close() {
      await stop?.();
      await panda.close();
      await bridge.close();
      await removeDirectory(directory);
    },
  };
}

/** What storage says of outputs with such contents. */
export function stored(files: Readonly<Record<string, string>>): readonly StoredFile[] {
  return Object.entries(files).map(([name, text]) => ({
    name,
    size: Buffer.byteLength(text),
    sha256: createHash('sha256').update(text).digest('hex'),
    adler32: adler32Hex(adler32(Buffer.from(text))),
  }));
}

/** Outputs as a job's description names them, each with some content. */
export function outputsOf(job: NewJob): readonly StoredFile[] {
  return stored(Object.fromEntries(job.description.outputs.map(({ name }) => [name, `content of ${name}`])));
}

/** Errors have no members of their own that JSON would show. */
function errorText(_key: string, value: unknown): unknown {
  return value instanceof Error ? `${value.name}: ${value.message} ${String(value.cause)}` : value;
}

interface BridgeDouble {
  readonly url: string;
  readonly inputs: ReadonlyMap<string, Buffer>;
  close(): Promise<void>;
}

async function startBridge(): Promise<BridgeDouble> {
  const inputs = new Map<string, Buffer>();
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const [, sha256 = ''] = /^\/v1\/inputs\/([0-9a-f]{64})$/u.exec(request.url ?? '') ?? [];
      const body = Buffer.concat(chunks);
      const isRight = createHash('sha256').update(body).digest('hex') === sha256;
      if (isRight) inputs.set(sha256, body);
      response.writeHead(isRight ? 201 : 400).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    inputs,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
