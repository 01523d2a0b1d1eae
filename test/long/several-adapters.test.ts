import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAdapter } from '../../adapters/jobs/panda/main.ts';
import type { FrameworkProgram } from '../../adapters/jobs/kit/framework-kind.ts';
import { startBroker } from '../../broker/main.ts';
import { loadConfiguration } from '../../cli/configuration/load.ts';
import { frameworkRole, readFramework, roleDirectory } from '../../cli/installation.ts';
import type { Lease } from '../../protocol/generated/types.ts';
import type { Account } from '../../broker/core/account.ts';
import { runCommand } from '../doubles/command-in-process.ts';
import { eventuallyTrue } from '../doubles/eventually.ts';
import type { LiveAgent } from '../doubles/live-agent.ts';
import { type LiveBroker, openLiveBroker } from '../doubles/live-broker.ts';
import { type PandaDouble, startPanda } from '../doubles/panda/panda-server.ts';
import { silentLog } from '../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';

/** Adapters say every half a minute that there are jobs, and the broker asks ever more slowly what cannot be answered. */
const WITHIN_MS = 120_000;
const JOBS = 6;
const LEASE = { leaseMs: 120_000, firstRenewMs: 120_000, prefetch: 16 };

/** One adapter of PanDA: its queue at the broker, the queue of PanDA, and what it may have unfinished. */
interface Site {
  readonly name: string;
  readonly queue: string;
  readonly theirs: string;
  readonly ceiling: number;
  readonly task: number;
}
const ONE: Site = { name: 'panda-one', queue: 'main', theirs: 'CP_ONE', ceiling: 2, task: 11 };
const TWO: Site = { name: 'panda-two', queue: 'second', theirs: 'CP_TWO', ceiling: 4, task: 22 };
const SITES = [ONE, TWO];

let folder: string;
let panda: PandaDouble;
let broker: LiveBroker;
let agent: LiveAgent;
let flags: readonly string[];
const adapters = new Map<Site, FrameworkProgram>();
const tokens = new Map<Site, string>();

const fileOf = ({ name }: Site, what: string): string => join(folder, `${name}-${what}`);

async function renew(site: Site): Promise<void> {
  const token = panda.token({ name: `robot of ${site.name}`, claims: { jti: String(tokens.size) } });
  tokens.set(site, token);
  await writeFile(fileOf(site, 'token'), token, { mode: 0o600 });
}

async function start(site: Site): Promise<void> {
  const { directory } = broker;
  const own = await loadConfiguration({ directory, environment: {}, flags });
  const configuration = (await readFramework(directory, site.name, own))!;
  const role = roleDirectory(directory, frameworkRole(site.name));
  adapters.set(site, await startAdapter({ directory: role, configuration, log: silentLog }));
}

beforeAll(async () => {
  folder = await temporaryDirectory('several-adapters');
  panda = await startPanda({ table: { adderMs: 0 } });
  for (const site of SITES) {
    await renew(site);
    await writeFile(fileOf(site, 'ceiling'), JSON.stringify({ jobs: site.ceiling }), { mode: 0o600 });
  }
  const entries = SITES.map((site) => [
    site.name,
    {
      ...{ kind: 'panda', url: panda.url, queues: { [site.queue]: site.theirs } },
      ...{ tokenFile: fileOf(site, 'token'), ceilingFile: fileOf(site, 'ceiling') },
      options: { origin: 'atlas.production', label: 'unified', mode: 'pilot', pilot: ['run-pilot'] },
    },
  ]);
  flags = [
    `frameworks=${JSON.stringify(Object.fromEntries(entries))}`,
    ...SITES.map(({ queue, name }) => `queues.${queue}.jobAdapter=${name}`),
    'bridge.digests=adler32',
  ];
  broker = await openLiveBroker({
    jobs: 'local queue',
    queue: LEASE,
    busServer: { flags, start: async () => undefined },
    start({ configuration, ...rest }) {
      const [main] = configuration.queues;
      if (main === undefined) throw new Error('there is no queue');
      const second = { ...main, name: TWO.queue, jobAdapter: TWO.name };
      return startBroker({ ...rest, configuration: { ...configuration, queues: [main, second] } });
    },
  });
  for (const { theirs, task } of SITES)
    for (let at = 0; at < JOBS; at++)
      panda.submit({ site: theirs, taskId: task, outputs: [{ lfn: 'out.root' }], log: 'log.tgz' });
  for (const site of SITES) await start(site);
  agent = await broker.agent();
}, 60_000);

afterAll(async () => {
  for (const program of adapters.values()) await program.stop();
  await broker.close();
  await panda.close();
  await removeDirectory(folder);
});

const PILOT_AD = { OpSys: 'LINUX', Cpus: 1, MemoryMiB: 4096, DiskMiB: 4096, HasPilotMode: true };
/** Of as many events as no other job has. */
const eventsOf = (id: number): number => 1_000 + id;

const jobsOf = ({ theirs }: Site) => panda.table.jobs().filter(({ spec }) => spec.site === theirs);
const inState = (site: Site, ...states: readonly string[]): number =>
  jobsOf(site).filter(({ state }) => states.includes(state)).length;
const withUs = (site: Site): number => inState(site, 'sent', 'starting', 'running');
const numberOf = ({ description }: Lease): number => Number(description.environment['PandaID']);
const siteOf = (lease: Lease): Site => (panda.job(numberOf(lease)).spec.site === ONE.theirs ? ONE : TWO);

function expectCeilings(): void {
  for (const site of SITES) expect(withUs(site)).toBeLessThanOrEqual(site.ceiling);
}

async function take(slot: number): Promise<Lease> {
  const answer = await agent.ask({ kind: 'request', slot, ad: PILOT_AD, seen: [] }, WITHIN_MS);
  if (answer.kind !== 'job') throw new Error(`no job came but ${JSON.stringify(answer)}`);
  expectCeilings();
  return answer.lease;
}

/** The pilot in the job says of how many events it was, files go to storage, and the result is committed. */
async function work(lease: Lease, slot: number): Promise<void> {
  const id = numberOf(lease);
  const said = { jobId: String(id), state: 'finished', attemptNr: 1, nEvents: eventsOf(id) };
  const bytes = gzipSync(JSON.stringify(said)).toString('base64');
  const body = JSON.stringify({ contentType: 'application/json', accept: '', body: bytes });
  const { job, attempt } = lease;
  const call = { kind: 'call', slot, job, attempt, method: 'updateJob', body };
  expect(await agent.ask(call)).toMatchObject({ kind: 'called' });
  const files = [];
  for (const { name } of lease.description.outputs)
    files.push(await agent.upload(lease, name, Buffer.from(`${name} of ${id}`)));
  expect(await agent.ask({ ...agent.report(lease, files), slot })).toMatchObject({ verdict: 'committed' });
}

it('two adapters of one PanDA, one of which loses its credential and is started again: no job is lost, none is counted twice', async () => {
  const slots = Array.from({ length: ONE.ceiling + TWO.ceiling }, (_, at) => at + 1);
  const held = await Promise.all(slots.map(async (slot) => ({ slot, lease: await take(slot) })));
  // Each has as many as its own ceiling lets it, and the other has no less for it.
  expect(SITES.map(withUs)).toEqual([ONE.ceiling, TWO.ceiling]);

  panda.revoke(tokens.get(ONE) ?? '');
  const [last, ...ofOne] = held.filter(({ lease }) => siteOf(lease) === ONE);
  const ofTwo = held.filter(({ lease }) => siteOf(lease) === TWO);
  for (const { lease, slot } of [...ofOne, ...ofTwo]) await work(lease, slot);
  await eventuallyTrue(
    'the other one’s results to be told',
    () => inState(TWO, 'finished') === ofTwo.length,
    WITHIN_MS,
  );
  expect(inState(ONE, 'finished')).toBe(0);

  await adapters.get(ONE)?.stop();
  await renew(ONE);
  await start(ONE);
  await work(last!.lease, last!.slot);
  for (let left = SITES.length * JOBS - held.length; left > 0; left--) await work(await take(1), 1);
  for (const site of SITES)
    await eventuallyTrue(
      `every job of ${site.theirs} to be finished`,
      () => inState(site, 'finished') === JOBS,
      WITHIN_MS,
    );
}, 300_000);

it('PanDA was told of each result once, by the adapter of its queue', () => {
  for (const site of SITES)
    for (const { history, fields, reports, id } of jobsOf(site)) {
      expect(history.filter((state) => state === 'finished')).toHaveLength(1);
      expect(reports).toBe(1);
      expect(fields).toMatchObject({ scheduler_id: `co-pilot-${site.name}`, n_events: eventsOf(id) });
    }
});

it('and the accounting has each job and its events once, also those of which the answer came after the restart', async () => {
  const ask = async () => {
    const { out } = await runCommand(['accounting', '--json', '--data', broker.directory]);
    const { accounts } = JSON.parse(out) as { readonly accounts: readonly Account[] };
    return accounts.map(({ campaign, jobs, events }) => ({ campaign, jobs, events }));
  };
  const wanted = SITES.map((site) => ({
    campaign: `task-${site.task}`,
    jobs: JOBS,
    events: jobsOf(site).reduce((sum, { id }) => sum + eventsOf(id), 0),
  }));
  await expect.poll(ask, { timeout: WITHIN_MS }).toEqual(wanted);
  const { out } = await runCommand(['accounting', '--data', broker.directory]);
  expect(out).toMatch(/EVENTS/);
  expect(out).toContain(String(wanted[0]?.events));
}, 150_000);
