import { expect } from '../expectation.ts';
import type { AgentCase } from './agent-case.ts';
import { succeeds } from './deeds.ts';
import { type JobWish, script, uniqueBytes } from './jobs.ts';
import type { Stage } from './stage.ts';
import type { Twist } from './storage.ts';

const MEBIBYTE = 1024 * 1024;

/** C: capabilities and files. */
export const fileCases: readonly AgentCase[] = [
  {
    id: 'AGT-C-001',
    title: 'proves its key to storage as the protocol says, anew for each request',
    requirements: ['C-3', 'C-4', 'C-5'],
    level: 'core',
    async run(stage) {
      const lease = await stage.gives(copies(stage, 3));
      await succeeds(stage, lease);
      const gets = stage.storage.visits.filter(({ method, status }) => method === 'GET' && status < 300);
      expect(gets.length >= 3, `it fetched ${gets.length} of three inputs`);
    },
  },
  {
    id: 'AGT-C-002',
    title: 'repeats a request that needs another nonce, with the one it was given',
    requirements: ['C-5', 'C-19'],
    level: 'full',
    async run(stage) {
      stage.storage.twist('GET', { kind: 'forget-nonces' });
      stage.storage.twist('PUT', { kind: 'forget-nonces' });
      const fromMs = performance.now();
      const lease = await stage.gives(copies(stage, 1));
      await succeeds(stage, lease);
      const refused = stage.storage.visits.filter(({ status, atMs }) => status === 401 && atMs > fromMs);
      expect(refused.length <= 4, `${refused.length} of its requests had no good nonce`);
    },
  },
  ...(
    [
      ['other bytes of the same length', (bytes: Uint8Array) => uniqueLike(bytes)],
      ['fewer bytes', (bytes: Uint8Array) => bytes.slice(0, -1)],
      ['more bytes', (bytes: Uint8Array) => new Uint8Array([...bytes, 0])],
      ['no bytes', () => new Uint8Array()],
    ] as const
  ).map(
    ([what, change], index): AgentCase => ({
      id: `AGT-C-01${index + 1}`,
      title: `does not use an input for which storage sends ${what}`,
      requirements: ['C-9'],
      level: index === 0 ? 'core' : 'full',
      withinSeconds: 90,
      async run(stage) {
        const bytes = uniqueBytes(stage.runtime.random);
        stage.storage.twist(
          'GET',
          { kind: 'bytes', bytes: change(bytes) },
          { kind: 'bytes', bytes: change(bytes) },
        );
        const lease = await stage.gives(copyOf(bytes));
        await neverUses(stage, lease, bytes);
      },
    }),
  ),
  {
    id: 'AGT-C-015',
    title: 'goes on with a download that broke, from where it broke',
    requirements: ['C-9'],
    level: 'robust',
    needs: ['ranges'],
    withinSeconds: 60,
    async run(stage) {
      const bytes = uniqueBytes(stage.runtime.random, MEBIBYTE);
      stage.storage.twist('GET', { kind: 'cut', afterBytes: 300_000 });
      const fromMs = performance.now();
      const lease = await stage.gives(copyOf(bytes));
      await succeeds(stage, lease, 40_000);
      const ranges = stage.storage.visits
        .filter(({ method, atMs }) => method === 'GET' && atMs > fromMs)
        .flatMap(({ headers }) => headers.range ?? []);
      expect(
        ranges.some((range) => !range.startsWith('bytes=0-')),
        'it asked for no range after the break',
      );
      isCopied(stage, lease, bytes);
    },
  },
  {
    id: 'AGT-C-016',
    title: 'puts a download together rightly where storage sends the whole file instead of the rest',
    requirements: ['C-9'],
    level: 'full',
    withinSeconds: 60,
    async run(stage) {
      const bytes = uniqueBytes(stage.runtime.random, MEBIBYTE);
      stage.storage.twist('GET', { kind: 'cut', afterBytes: 300_000 }, { kind: 'whole' });
      const lease = await stage.gives(copyOf(bytes));
      await succeeds(stage, lease, 40_000);
      isCopied(stage, lease, bytes);
    },
  },
  ...(['GET', 'PUT'] as const).map(
    (method, index): AgentCase => ({
      id: `AGT-C-02${index + 1}`,
      title: `does not follow a redirect of ${method} with its capability`,
      requirements: ['C-2'],
      level: 'full',
      withinSeconds: 60,
      async run(stage) {
        stage.storage.twist(method, { kind: 'redirect', to: '/v1/elsewhere' });
        // An upload may be asked for with HEAD first.
        const lease = await stage.gives(copies(stage, 1));
        await endsSomehow(stage, lease);
        expect(
          stage.storage.visits.every(({ path }) => path !== '/v1/elsewhere'),
          'it followed the redirect',
        );
      },
    }),
  ),
  {
    id: 'AGT-C-031',
    title: 'uploads a file with its length and its digest, once',
    requirements: ['C-10', 'V-1'],
    level: 'core',
    async run(stage) {
      const bytes = uniqueBytes(stage.runtime.random, 5000);
      const lease = await stage.gives(copyOf(bytes));
      await succeeds(stage, lease);
      isCopied(stage, lease, bytes);
    },
  },
  {
    id: 'AGT-C-032',
    title: 'uploads a file of no bytes, and fetches one',
    requirements: ['C-10', 'C-9'],
    level: 'full',
    async run(stage) {
      const lease = await stage.gives(copyOf(new Uint8Array()));
      await succeeds(stage, lease);
      isCopied(stage, lease, new Uint8Array());
    },
  },
  {
    id: 'AGT-C-033',
    title: 'uploads a file in a folder under its name',
    requirements: ['C-2', 'C-10'],
    level: 'full',
    async run(stage) {
      const name = 'plots/mass,1+2=3@x.dat';
      const lease = await stage.gives(script(`mkdir -p plots; echo x > '${name}'`, { outputs: [{ name }] }));
      await succeeds(stage, lease);
      expect(stage.storage.uploaded(lease, name) !== undefined, `${name} is not in storage`);
    },
  },
  {
    id: 'AGT-C-034',
    title: 'brings an upload that broke to its end, and reports only then',
    requirements: ['C-19', 'V-1'],
    level: 'full',
    withinSeconds: 90,
    async run(stage) {
      const bytes = uniqueBytes(stage.runtime.random, MEBIBYTE);
      breakUploads(stage, 200_000);
      const lease = await stage.gives(copyOf(bytes));
      await succeeds(stage, lease, 60_000);
      isCopied(stage, lease, bytes);
    },
  },
  {
    id: 'AGT-C-035',
    title: 'goes on with a large upload that broke, from where storage says',
    requirements: ['C-11', 'C-12'],
    level: 'robust',
    needs: ['resume'],
    withinSeconds: 90,
    async run(stage) {
      const bytes = uniqueBytes(stage.runtime.random, 9 * MEBIBYTE);
      breakUploads(stage, 2 * MEBIBYTE);
      const fromMs = performance.now();
      const lease = await stage.gives(copyOf(bytes));
      await succeeds(stage, lease, 60_000);
      isCopied(stage, lease, bytes);
      const resumed = stage.storage.visits.some(
        ({ method, headers, atMs }) =>
          method === 'PATCH' && atMs > fromMs && Number(headers['upload-offset']) > 0,
      );
      expect(resumed, 'it began the upload anew');
    },
  },
  ...(
    [
      ['STORAGE_BUSY', 503],
      ['INTERNAL', 500],
      ['DPOP_REPLAYED', 401],
    ] as const
  ).flatMap(([code, status], index) =>
    (['GET', 'PUT'] as const).map(
      (method, at): AgentCase => ({
        id: `AGT-C-04${1 + 2 * index + at}`,
        title: `tries again after ${method} is refused with ${code}`,
        requirements: ['C-19'],
        level: 'robust',
        withinSeconds: 60,
        async run(stage) {
          stage.storage.twist(method, { kind: 'refuse', status, code });
          const bytes = uniqueBytes(stage.runtime.random);
          const lease = await stage.gives(copyOf(bytes));
          await succeeds(stage, lease, 40_000);
          isCopied(stage, lease, bytes);
        },
      }),
    ),
  ),
  ...(['GET', 'PUT'] as const).map(
    (method, index): AgentCase => ({
      id: `AGT-C-05${index + 1}`,
      title: `asks the broker for another capability where ${method} is refused with CAPABILITY_EXPIRED`,
      requirements: ['C-19', 'L-13'],
      level: 'robust',
      withinSeconds: 60,
      async run(stage) {
        stage.storage.twist(method, { kind: 'refuse', status: 401, code: 'CAPABILITY_EXPIRED' });
        const bytes = uniqueBytes(stage.runtime.random);
        const lease = await stage.gives(copyOf(bytes));
        const { message } = await stage.hears('outputs', (heard) => heard.message.job === lease.job, 20_000);
        expect(message.verb === (method === 'GET' ? 'get' : 'put'), `it asked for ${message.verb}`);
        await succeeds(stage, lease, 30_000);
        isCopied(stage, lease, bytes);
      },
    }),
  ),
  {
    id: 'AGT-C-053',
    title: 'asks for the capabilities that its lease does not bring, sixteen at once at most',
    requirements: ['L-13', 'C-2'],
    level: 'full',
    withinSeconds: 60,
    async run(stage) {
      const lease = await stage.gives({ ...copies(stage, 16), withCapabilities: false });
      await succeeds(stage, lease, 40_000);
      const asked = stage.clerk.since('outputs', 0).filter(({ message }) => message.job === lease.job);
      expect(
        asked.some(({ message }) => message.verb === 'get'),
        'it asked for no input',
      );
      const put = asked.find(({ message }) => message.verb === 'put')?.message.files[0];
      expect(
        put !== undefined && stage.storage.isStored(lease, put),
        'it asked to upload another file than it made',
      );
    },
  },
  {
    id: 'AGT-C-054',
    title: 'asks again later where the broker has no capability for it now',
    requirements: ['L-13'],
    level: 'full',
    withinSeconds: 60,
    async run(stage) {
      let answers = 0;
      stage.clerk.manners.outputs = ({ slot, counter, job, attempt }) =>
        answers++ > 0
          ? undefined
          : { kind: 'capabilities', slot, counter, job, attempt, capabilities: [], verdicts: [] };
      const lease = await stage.gives({ ...copies(stage, 1), withCapabilities: false });
      await succeeds(stage, lease, 40_000);
    },
  },
  {
    id: 'AGT-C-055',
    title: 'does not report before a slow upload is acknowledged',
    requirements: ['V-1'],
    level: 'full',
    async run(stage) {
      const late: Twist = { kind: 'late', ms: 3000 };
      stage.storage.twist('PUT', late);
      const lease = await stage.gives(copyOf(uniqueBytes(stage.runtime.random)));
      // The clerk notes a report of what storage does not have.
      await succeeds(stage, lease);
    },
  },
];

/** A job with so many inputs, which it puts together. */
function copies(stage: Stage, count: number): JobWish {
  return script('cat in-* > out.txt', {
    inputs: Array.from({ length: count }, (_, at) => ({
      name: `in-${at}`,
      bytes: uniqueBytes(stage.runtime.random),
    })),
    outputs: [{ name: 'out.txt' }],
  });
}

function copyOf(bytes: Uint8Array): JobWish {
  return script('cat in.dat > out.txt', {
    inputs: [{ name: 'in.dat', bytes }],
    outputs: [{ name: 'out.txt' }],
  });
}

function uniqueLike(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte) => byte ^ 1);
}

function isCopied(
  stage: Stage,
  attempt: { readonly job: string; readonly attempt: number },
  bytes: Uint8Array,
): void {
  const made = stage.storage.uploaded(attempt, 'out.txt');
  expect(made !== undefined && Buffer.from(made).equals(bytes), 'its output is not the copy of its input');
}

/** The next upload breaks after so many bytes, however it is made. */
function breakUploads(stage: Stage, afterBytes: number): void {
  for (const method of ['PUT', 'PATCH'] as const) stage.storage.twist(method, { kind: 'cut', afterBytes });
}

type Attempt = { readonly job: string; readonly attempt: number };

/** Wrong bytes are never used: the job fails for want of them, is given back, or runs in the end with the right ones. */
async function neverUses(stage: Stage, lease: Attempt, bytes: Uint8Array): Promise<void> {
  const ended = await endsSomehow(stage, lease);
  if (ended === 'succeeded') isCopied(stage, lease, bytes);
}

async function endsSomehow(stage: Stage, lease: Attempt): Promise<'succeeded' | 'failed'> {
  const ended = await stage.until(
    'a report or a release',
    () =>
      stage.clerk.take('report', ({ message }) => message.job === lease.job)?.message ??
      stage.clerk.take('release', ({ message }) => message.job === lease.job)?.message,
    80_000,
  );
  return ended.kind === 'report' && ended.exit.kind === 'exited' && ended.exit.code === 0
    ? 'succeeded'
    : 'failed';
}
