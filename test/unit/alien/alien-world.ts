import { spawnSync } from 'node:child_process';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createAlienAdapter } from '../../../adapters/jobs/alien/alien-adapter.ts';
import type { NewJob, StoredFile, Work } from '../../../adapters/jobs/job-adapter.ts';
import { openRefusedJobs, type RefusedJobs } from '../../../adapters/jobs/kit/refused-jobs.ts';
import { openCeiling } from '../../../adapters/jobs/kit/ceiling.ts';
import { openCredentialFiles } from '../../../adapters/jobs/kit/credential-files.ts';
import type { FrameworkAdapter } from '../../../adapters/jobs/kit/framework-adapter.ts';
import { createFrameworkHttp } from '../../../adapters/jobs/kit/framework-http.ts';
import type { FrameworkSettings } from '../../../adapters/jobs/kit/framework-kind.ts';
import { type AlienDouble, startAlienDouble } from '../../doubles/alien/alien-double.ts';
import type { QueueRow } from '../../doubles/alien/task-queue.ts';
import { type JalienDouble, startJalienDouble } from '../../doubles/jalien/jalien-double.ts';
import { type SideDouble, startSideDouble } from '../../doubles/jalien-side/side-double.ts';
import { deafAccepted } from '../../doubles/deaf-accepted.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { type OperatorBridge, startOperatorBridge } from '../../doubles/operator-bridge.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const SIDE_TOKEN = 'canary-of-the-side-process';

export const PACKAGE = 'VO_ALICE@AliPhysics::vAN-20170813-1';
export const usage = { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 16, diskMiB: 1 };

/** An adapter over the classic services' double, with a catalogue that is a directory and a bridge in memory. */
export interface AlienWorld {
  readonly clock: ManualClock;
  readonly double: AlienDouble;
  readonly bridge: OperatorBridge;
  readonly side: SideDouble | undefined;
  /** Where the catalogue is JAliEn's. */
  readonly jalien: JalienDouble | undefined;
  readonly catalogue: string;
  readonly heard: Work[];
  adapter(): FrameworkAdapter;
  /** Submits a description, or one that runs `bin/job.sh`; answers its number in the queue. */
  submit(change?: string, values?: readonly string[]): number;
  row(id: number): QueueRow;
  fetchOne(): Promise<NewJob>;
  /** Runs the job's script in a shell, and puts what it left into the bridge; answers the manifest. */
  run(job: NewJob, attempt: number): Promise<readonly StoredFile[]>;
  put(lfn: string, text: string): Promise<void>;
  read(lfn: string): Promise<string>;
  reopen(): Promise<void>;
  close(): Promise<void>;
}

export async function alienWorld({
  hasJalien = false,
  hasSide = false,
  without = [],
  bareErrors = false,
}: {
  readonly hasJalien?: boolean;
  readonly hasSide?: boolean;
  readonly without?: readonly string[];
  readonly bareErrors?: boolean;
} = {}): Promise<AlienWorld> {
  const clock = createManualClock();
  const random = createSeededRandom(7);
  const folder = await temporaryDirectory('alien');
  const catalogue = join(folder, 'catalogue');
  await mkdir(catalogue);
  const double = await startAlienDouble({ clock, random, without, bareErrors });
  const bridge = await startOperatorBridge();
  const jalien = hasJalien || hasSide ? await startJalienDouble({ clock, random }) : undefined;
  const side =
    hasSide && jalien !== undefined ? await startSideDouble({ jalien, token: SIDE_TOKEN }) : undefined;
  const queue = side === undefined || jalien === undefined ? double.queue : jalien.queue;
  const serverUrl = side?.url ?? double.url;
  const tokenFile = join(folder, 'side-token');
  await writeFile(tokenFile, SIDE_TOKEN, { mode: 0o600 });
  const log = silentLog;
  const credential = await openCredentialFiles(side === undefined ? {} : { tokenFile }, { clock, log });
  const heard: Work[] = [];
  const noted: RefusedJobs[] = [];
  let adapter = await open();

  async function open(): Promise<FrameworkAdapter> {
    const directory = join(folder, 'adapter');
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const openHttp = (url: string) =>
      createFrameworkHttp({ url, credential, timeoutMs: 5000, maxAnswerBytes: 4 * 1024 * 1024 });
    const settings: FrameworkSettings = {
      kind: 'alien',
      url: serverUrl,
      queues: { main: 'ALICE::VOLUNTEER::COPILOT' },
      credential: {},
      attempts: 5,
      options: {
        user: 'vol',
        heartbeatSeconds: 300,
        ...(side !== undefined && { way: 'side' }),
        partitions: ['volunteer'],
        packages: [PACKAGE],
        installedPackages: [],
        ...(jalien === undefined ? { catalogueDirectory: catalogue } : { jalien: jalien.url }),
      },
    };
    const refused = await openRefusedJobs(join(directory, 'refused.jsonl'), { clock, log });
    noted.push(refused);
    const opened = await createAlienAdapter(
      {
        clock,
        random,
        log,
        name: 'alien',
        settings,
        http: await openHttp(serverUrl),
        openHttp,
        credential,
        ceiling: await openCeiling(undefined, { clock, log }),
        refused,
        accepted: deafAccepted,
        bridge,
      },
      directory,
    );
    opened.onWork((work) => heard.push(work));
    return opened;
  }

  const put = async (lfn: string, text: string): Promise<void> => {
    if (jalien !== undefined) {
      const pfn = `${jalien.storage.url}/niham${lfn}`;
      jalien.storage.put(pfn, Buffer.from(text));
      const md5 = jalien.storage.stored(pfn) ?? '';
      const pfns = [{ se: 'ALICE::NIHAM::FILE', pfn }];
      jalien.files.add(lfn, { size: String(text.length), md5, guid: 'a-guid', pfns });
      return;
    }
    await mkdir(dirname(join(catalogue, lfn)), { recursive: true });
    await writeFile(join(catalogue, lfn), text);
  };
  await put(
    '/alice/cern.ch/user/v/vol/bin/job.sh',
    '#!/bin/sh\necho "hello $1"\necho data >result.root\nexit ${2:-0}\n',
  );

  const world: AlienWorld = {
    clock,
    double,
    bridge,
    jalien,
    side,
    catalogue,
    heard,
    adapter: () => adapter,
    submit(change = '', values = []) {
      const base = 'Executable = "job.sh"; OutputDir = "/alice/cern.ch/user/v/vol/out"; TTL = 7200;';
      const id = queue.submit('vol', change.includes('Executable') ? change : `${base} ${change}`, values);
      clock.advance(1);
      return id;
    },
    row(id) {
      const row = queue.row(id);
      if (row === undefined) throw new Error(`no job ${id}`);
      return row;
    },
    async fetchOne() {
      const { jobs } = await adapter.fetch('main', 1, []);
      const [job] = jobs;
      if (job === undefined) throw new Error('no job');
      await adapter.fetch('main', 0, [job.job]);
      return job;
    },
    async run({ job, description }, attempt) {
      const place = join(folder, `run-${job}-${attempt}`);
      await mkdir(place);
      for (const input of description.inputs) {
        const mode = input.executable === true ? 0o755 : 0o644;
        await writeFile(join(place, input.name), bridge.inputs.get(input.sha256) ?? '', { mode });
      }
      const done = spawnSync(description.command, [...description.arguments], {
        cwd: place,
        env: { PATH: process.env['PATH'], ...description.environment },
      });
      if (done.status !== 0) throw new Error(`the script ended with ${done.status}: ${String(done.stderr)}`);
      return Promise.all(
        description.outputs.map(async ({ name }) =>
          bridge.addResult(job, attempt, name, await readFile(join(place, name))),
        ),
      );
    },
    put,
    read: (lfn) => readFile(join(catalogue, lfn), 'utf8'),
    async reopen() {
      const copy = join(folder, 'adapter-copy');
      await cp(join(folder, 'adapter'), copy, { recursive: true });
      await adapter.stop();
      await removeDirectory(join(folder, 'adapter'));
      await cp(copy, join(folder, 'adapter'), { recursive: true });
      await removeDirectory(copy);
      adapter = await open();
    },
    async close() {
      await adapter.stop();
      await Promise.all(noted.map((refused) => refused.settled()));
      await double.stop();
      await bridge.stop();
      await side?.stop();
      await jalien?.stop();
      credential.stop();
      await removeDirectory(folder);
    },
  };
  return world;
}
