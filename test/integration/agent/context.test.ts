import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { detectIsolation } from '../../../agent/executors/detect-isolation.ts';
import type { IsolationMethod } from '../../../agent/executors/launcher.ts';
import type { EnrolmentMethod } from '../../../broker/enrolment/method.ts';
import type { BoincAccount } from '../../../protocol/boinc-account.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { floppyImage } from '../../doubles/floppy-image.ts';
import { initData, vmLines } from '../../doubles/vm-context.ts';
import { jobId, lease } from '../../unit/agent/stage.ts';
import { openWorld, type World } from './world.ts';

const ACCOUNT = { user: 4711, authenticator: 'fedcba98765432100123456789abcdef', host: 99 };
const BOINC_KEYS = ['BOINC_USERID', 'BOINC_AUTHENTICATOR', 'BOINC_HOSTID'];
/** Counts what shows the account: where it lay, and in every environment that can be read. */
const LOOK =
  "{ cat $1 $1/*; echo 0 >$2/shutdown; cat /proc/[0-9]*/environ; env; } 2>/dev/null | grep -a -c 'fedcba987654321[0]0123456789abcdef'; exit 0";

let world: World;
afterEach(async () => {
  for (const key of BOINC_KEYS) Reflect.deleteProperty(process.env, key);
  await world.close();
});

/** Where anybody could read it, were it left so. */
async function put(name: string, content: string | Uint8Array): Promise<string> {
  const told = join(world.directory, 'told');
  await mkdir(told, { recursive: true });
  const path = join(told, name);
  await writeFile(path, content);
  await chmod(world.directory, 0o755);
  await chmod(told, 0o755);
  await chmod(path, 0o644);
  return path;
}

const PLACES: Readonly<Record<string, () => Promise<readonly [string, string]>>> = {
  floppy: async () => {
    const path = await put('fd0', floppyImage(vmLines(ACCOUNT)));
    return [path, `floppy:${path}`];
  },
  'shared directory': async () => {
    const path = await put('init_data.xml', initData(ACCOUNT));
    return [path, `directory:${join(path, '..')}`];
  },
  environment: async () => {
    const { user, authenticator, host } = ACCOUNT;
    Object.assign(process.env, {
      BOINC_USERID: String(user),
      BOINC_AUTHENTICATOR: authenticator,
      BOINC_HOSTID: String(host),
    });
    return ['/nowhere', 'environment'];
  },
};

const CASES: readonly (readonly [IsolationMethod, string])[] = [
  ['bubblewrap', 'floppy'],
  ['unshare', 'environment'],
  ['uid', 'shared directory'],
];

it.for(CASES)('a job in %s cannot read the account that came by %s', async ([method, place], context) => {
  const shown: BoincAccount[] = [];
  const boinc: EnrolmentMethod<BoincAccount> = {
    async judge({ user, authenticator, host }) {
      shown.push({ user, authenticator, ...(host !== undefined && { host }) });
      return { kind: 'known', terms: { owner: 'boinc-test.4711', site: 'home', tier: 'untrusted' } };
    },
  };
  world = await openWorld({ boinc });
  const works = await detectIsolation(method, { clock: nodeClock });
  if (works.kind === 'nothing-works') {
    const why = `${method} does not work here: ${works.attempts[0]?.reason}`;
    if (process.env['CI'] === 'true') throw new Error(why);
    context.skip(why);
  }
  const [path, option] = await (PLACES[place] ?? PLACES['floppy']!)();
  const shared = join(world.directory, 'shared');
  await mkdir(shared, { mode: 0o700 });
  const agent = world.launch(
    ...['--context', option, '--installation', world.enrolment.pin(), '--isolation', method],
    ...['--boinc-shared', shared, '--boinc-hours', '12'],
  );
  const request = await world.hears('request');
  expect(shown).toEqual([ACCOUNT]);
  const job = { command: 'sh', arguments: ['-c', LOOK, 'job', path, shared], outputs: [] };
  const { slot, counter } = request;
  world.broker.say({
    kind: 'job',
    slot,
    counter,
    lease: lease(0, { capabilities: [] }, job),
    verdicts: [],
  });
  const report = await world.hears('report');
  expect(report).toMatchObject({ exit: { kind: 'exited', code: 0 }, job: jobId(0), logTail: '0' });
  expect(await readdir(shared)).toEqual(['heartbeat']);
  // The same look from outside, as whoever runs the agent, sees it.
  expect(
    Number(execFileSync('sh', ['-c', LOOK, 'look', path, world.directory], { encoding: 'utf8' })),
  ).toBeGreaterThan(0);
  expect(await readdir(world.directory)).toContain('shutdown');
  const verdict = { verdict: 'refused' as const, reason: 'seen', verdicts: [] };
  const told = { slot: report.slot, counter: report.counter, job: report.job, attempt: report.attempt };
  world.broker.say({ kind: 'reported', ...told, ...verdict });
  await world.hears('request');
  agent.child.kill('SIGTERM');
  expect(await agent.ended).toBe(0);
  expect(await readFile(join(shared, 'shutdown'), 'utf8')).toBe('0\n0\nco-pilot: drained\n');
  expect(JSON.stringify(agent.events) + agent.stderr()).not.toContain(ACCOUNT.authenticator);
  for (const file of await readdir(world.agentDirectory(), { recursive: true, withFileTypes: true }))
    if (file.isFile())
      expect(await readFile(join(file.parentPath, file.name), 'latin1')).not.toContain(ACCOUNT.authenticator);
});
