import { execFileSync } from 'node:child_process';
import { link, mkdir, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createDirectoryIntake,
  type DirectoryIntake,
  type WatchFolder,
} from '../../../adapters/jobs/local/intake/directory-intake.ts';
import type { InputStore } from '../../../adapters/jobs/local/intake/input-store.ts';
import { systemOwners } from '../../../adapters/jobs/local/intake/owner-names.ts';
import { type LocalQueue, openLocalQueue } from '../../../adapters/jobs/local/local-queue.ts';
import { dropReader } from '../../../cli/campaign/drop-reader.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { eventually } from '../../doubles/eventually.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const PLAIN = 'name: plain\ncommand: /bin/true\nlimits: { wall: 1m, memory: 64MiB, disk: 10MiB }\n';
const SWEEP = `${PLAIN}parameters: { n: 1..3 }\narguments: ['\${n}']\n`;
const WITH_INPUT = `${PLAIN}inputs: [card.txt]\n`;
const WITHIN_MS = 20_000;

let directory: string;
let clock: ManualClock;
let queue: LocalQueue;
let intake: DirectoryIntake;
let stored: Map<string, string>;
let isBridgeDown: boolean;

const inputs: InputStore = {
  async put(sha256: string, _size: number, body: Readable) {
    let text = '';
    for await (const chunk of body) text += String(chunk);
    if (isBridgeDown) throw new CoPilotError('UNREACHABLE', 'the bridge does not take the input');
    stored.set(sha256, text);
  },
};

beforeEach(async () => {
  directory = await temporaryDirectory('spool');
  stored = new Map();
  isBridgeDown = false;
  queue = await openLocalQueue({ path: join(directory, 'queue.sqlite'), random: nodeRandom, log: silentLog });
  await begin(queue);
});
afterEach(async () => {
  await intake.stop();
  await queue.close();
  await removeDirectory(directory);
});

async function begin(into: LocalQueue, watchFolder?: WatchFolder): Promise<void> {
  clock = createManualClock();
  intake = createDirectoryIntake({
    path: place(''),
    queue: into,
    inputs,
    reader: dropReader,
    ownerOf: async () => 'alice',
    random: nodeRandom,
    clock,
    log: silentLog,
    ...(watchFolder && { watchFolder }),
  });
  await intake.start();
}

function place(...parts: readonly string[]): string {
  return join(directory, 'spool', ...parts);
}

/** Writes under another name and renames, as docs/job-author.md says. */
async function drop(name: string, text: string | Buffer): Promise<void> {
  await writeFile(place('incoming', `.${name}.tmp`), text);
  await rename(place('incoming', `.${name}.tmp`), place('incoming', name));
}

/** Waits for the one folder of that end, and reads what was written into it. */
async function ended(kind: 'accepted' | 'refused', count = 1): Promise<Record<string, unknown>[]> {
  const folders = await eventually(
    `${count} ${kind} campaigns`,
    async () => {
      const found = await readdir(place(kind));
      return found.length >= count ? found.sort() : undefined;
    },
    WITHIN_MS,
  );
  const file = kind === 'accepted' ? 'receipt.json' : 'reason.json';
  return Promise.all(
    folders.map(
      async (folder) =>
        JSON.parse(await readFile(place(kind, folder, file), 'utf8')) as Record<string, unknown>,
    ),
  );
}

async function refusal(): Promise<string> {
  const [reason] = await ended('refused');
  expect(queue.list({}).jobs).toEqual([]);
  return String(reason?.['reason']);
}

describe('a campaign that is dropped', () => {
  it('is submitted as its owner’s, with its inputs, and leaves a receipt', async () => {
    await writeFile(place('incoming', 'card.txt'), 'beam 45.6');
    await drop('run.yaml', WITH_INPUT);
    const [receipt] = await ended('accepted');
    expect(receipt).toMatchObject({
      campaign: expect.stringMatching(/^plain-[0-9a-f]{8}$/),
      owner: 'alice',
      jobs: { length: 1 },
      repeated: false,
    });
    expect([...stored.values()]).toEqual(['beam 45.6']);
    const [folder = ''] = await readdir(place('accepted'));
    expect(folder).toMatch(/^run-[a-z2-7]{10}$/);
    expect((await readdir(place('accepted', folder))).sort()).toEqual([
      'campaign.yaml',
      'card.txt',
      'receipt.json',
    ]);
    expect(await readdir(place('incoming'))).toEqual([]);
    expect((await stat(place('incoming'))).mode & 0o777).toBe(0o700);
  });

  it('while nothing ran is taken at the start', async () => {
    await intake.stop();
    await drop('early.yaml', SWEEP);
    await begin(queue);
    expect((await ended('accepted'))[0]).toMatchObject({ jobs: { length: 3 } });
  });

  it('twice adds nothing the second time', async () => {
    await drop('one.yaml', SWEEP);
    const [first] = await ended('accepted');
    await drop('two.yaml', SWEEP);
    const receipts = await ended('accepted', 2);
    expect(receipts).toContainEqual({ ...first, repeated: true });
    expect(queue.list({}).jobs).toHaveLength(3);
  });

  it('is submitted once where a crash came between the submission and the receipt', async () => {
    await intake.stop();
    const dying: LocalQueue = {
      ...queue,
      submit: async (submission) => {
        await queue.submit(submission);
        throw new CoPilotError('QUEUE_UNAVAILABLE', 'the power is cut');
      },
    };
    await begin(dying);
    await drop('crash.yaml', SWEEP);
    await eventually('the jobs', () => (queue.list({}).jobs.length === 3 ? true : undefined), WITHIN_MS);
    await intake.stop();
    expect(await readdir(place('accepted'))).toEqual([]);
    await begin(queue);
    expect((await ended('accepted'))[0]).toMatchObject({ repeated: true, jobs: { length: 3 } });
    expect(queue.list({}).jobs).toHaveLength(3);
  });

  it('waits while the bridge is away, and keeps no other waiting', async () => {
    isBridgeDown = true;
    await writeFile(place('incoming', 'card.txt'), 'beam');
    await drop('a.yaml', WITH_INPUT);
    await drop('b.yaml', SWEEP);
    expect((await ended('accepted'))[0]).toMatchObject({ jobs: { length: 3 } });
    isBridgeDown = false;
    await eventually(
      'the next look to be scheduled',
      () => (clock.pending() > 1 ? true : undefined),
      WITHIN_MS,
    );
    clock.advance(5_000);
    await ended('accepted', 2);
    expect(stored.size).toBe(1);
  });

  it('is found by the slow look where no event told of it', async () => {
    await intake.stop();
    await begin(queue, () => ({ close: () => undefined }));
    await eventually('the first look to end', () => (clock.pending() > 1 ? true : undefined), WITHIN_MS);
    await drop('silent.yaml', PLAIN);
    clock.advance(59_000);
    expect(await readdir(place('incoming'))).toEqual(['silent.yaml']);
    clock.advance(1_000);
    await ended('accepted');
  });
});

describe('attacks on the way in by a directory (I7, I9)', () => {
  it('a wrong campaign is refused with line and column, and no path of ours', async () => {
    await drop('wrong.yaml', `${PLAIN}limts: {}\n`);
    const reason = await refusal();
    expect(reason).toMatch(/^campaign\.yaml:4:1: /);
    expect(reason).not.toContain(directory);
  });

  it('a link as campaign is refused, and what it points to is not read', async () => {
    const secret = join(directory, 'secret.yaml');
    await writeFile(secret, PLAIN);
    await symlink(secret, place('incoming', 'link.yaml'));
    expect(await refusal()).toBe('the campaign is no regular file');
    expect(await readFile(secret, 'utf8')).toBe(PLAIN);
  });

  it('a link as input is refused, and what it points to is not stored', async () => {
    await writeFile(join(directory, 'secret'), 'key');
    await symlink(join(directory, 'secret'), place('incoming', 'card.txt'));
    await drop('run.yaml', WITH_INPUT);
    expect(await refusal()).toBe('input card.txt is no regular file');
    expect(stored.size).toBe(0);
    expect(await readdir(place('incoming'))).toEqual(['card.txt']);
  });

  it('a second name of somebody’s file as input is refused', async () => {
    await writeFile(join(directory, 'secret'), 'key');
    await link(join(directory, 'secret'), place('incoming', 'card.txt'));
    await drop('run.yaml', WITH_INPUT);
    expect(await refusal()).toContain('second name');
    expect(stored.size).toBe(0);
  });

  it.each([
    '/etc/passwd',
    '../secret',
    'sub/card.txt',
    '.hidden',
    'receipt.json',
    'campaign.yaml',
    'other.yaml',
  ])('an input that is %s is refused', async (path) => {
    await drop('run.yaml', `${PLAIN}inputs: { card.txt: ${path} }\n`);
    expect(await refusal()).toContain('not the plain name of a file beside the campaign');
    expect(stored.size).toBe(0);
  });

  it('an input of another user is neither moved nor stored', async ({ skip }) => {
    if (process.getuid?.() !== 0) skip('only root can make a file another user’s');
    await writeFile(place('incoming', 'card.txt'), 'theirs');
    execFileSync('chown', ['65534', place('incoming', 'card.txt')]);
    await drop('run.yaml', WITH_INPUT);
    expect(await refusal()).toContain('belongs to somebody else');
    expect(await readdir(place('incoming'))).toEqual(['card.txt']);
  });

  it('a campaign that is huge, binary, empty, a folder or a pipe is refused', async () => {
    await drop('huge.yaml', Buffer.alloc(256 * 1024 + 1, 'a'));
    await drop('binary.yaml', Buffer.from([0xff, 0xfe, 0x00, 0x80]));
    await drop('empty.yaml', '');
    await mkdir(place('incoming', 'folder.yaml'));
    execFileSync('mkfifo', [place('incoming', 'pipe.yaml')]);
    const reasons = await ended('refused', 5);
    expect(reasons.map(({ reason }) => String(reason).replace(/^campaign\.yaml:1:1: /, ''))).toEqual([
      'the file is not UTF-8 text',
      expect.stringContaining('is empty'),
      'the campaign is no regular file',
      'the campaign is over 262144 bytes',
      'the campaign is no regular file',
    ]);
    expect(queue.list({}).jobs).toEqual([]);
  });

  it('a name that is a trick names no folder of ours', async () => {
    await drop('a b;$(x).yaml', PLAIN);
    await ended('accepted');
    expect((await readdir(place('accepted')))[0]).toMatch(/^campaign-[a-z2-7]{10}$/);
  });

  it('half-written and hidden files, and inputs without a campaign, are left alone', async () => {
    await writeFile(place('incoming', '.half.yaml'), PLAIN);
    await writeFile(place('incoming', 'half.yaml.tmp'), PLAIN);
    await writeFile(place('incoming', 'card.txt'), 'beam');
    await drop('run.yaml', PLAIN);
    await ended('accepted');
    expect((await readdir(place('incoming'))).sort()).toEqual(['.half.yaml', 'card.txt', 'half.yaml.tmp']);
  });

  it('inputs where no bridge is configured are refused with the next step', async () => {
    await intake.stop();
    const options = { path: place(''), queue, reader: dropReader, ownerOf: async () => 'alice' };
    intake = createDirectoryIntake({
      ...options,
      inputs: undefined,
      random: nodeRandom,
      clock,
      log: silentLog,
    });
    await intake.start();
    await writeFile(place('incoming', 'card.txt'), 'beam');
    await drop('run.yaml', WITH_INPUT);
    expect(await refusal()).toContain('it does not know the bridge');
  });
});

describe('names of users', () => {
  it('are the system’s, or their number where the protocol has no such name', async () => {
    const list = join(directory, 'passwd');
    await writeFile(
      list,
      'root:x:0:0::/:\nann.lee:x:10:10::/:\nAnn:x:11:1::/:\nuid12:x:13:1::/:\nx y:x:14:1::/:\n',
    );
    const ownerOf = systemOwners(list);
    expect(await Promise.all([0, 10, 11, 12, 13, 14].map(ownerOf))).toEqual([
      ...['root', 'ann.lee', 'uid11', 'uid12', 'uid13', 'uid14'],
    ]);
    expect(await systemOwners(join(directory, 'none'))(7)).toBe('uid7');
  });
});
