import { chmod, chown, mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Description, Lease, Request } from '../../../protocol/generated/types.ts';
import { decodeEnrolmentCode, encodeEnrolmentCode } from '../../../protocol/enrolment.ts';
import { thumbprint } from '../../../protocol/tokens.ts';
import { fromBase64url } from '../../../protocol/encoding.ts';
import {
  crypto,
  fileOf,
  grantFor,
  openBridgeWorld,
  putInput,
  someBytes,
} from '../../doubles/bridge-world.ts';
import { jobId, lease } from '../../unit/agent/stage.ts';
import { codeFile, openWorld } from './world.ts';
import type { AgentProcess, World } from './world.ts';

let world: World;

beforeEach(async () => {
  world = await openWorld();
});

afterEach(async () => {
  await world.close();
});

async function enrolled(...options: readonly string[]): Promise<AgentProcess> {
  const code = await codeFile(world, await world.newCode());
  return world.launch('--code-file', code, '--isolation', 'none', ...options);
}

/** A lease of a shell command without files. */
function shell(
  n: number,
  script: string,
  change: Partial<Lease> = {},
  more: Partial<Description> = {},
): Lease {
  return lease(
    n,
    { capabilities: [], ...change },
    { command: 'sh', arguments: ['-c', script], outputs: [], ...more },
  );
}

function give({ slot, counter }: Request, given: Lease): void {
  world.broker.say({ kind: 'job', slot, counter, lease: given, verdicts: [] });
}

async function journal(): Promise<readonly string[]> {
  return readdir(join(world.agentDirectory(), 'attempts')).catch(() => []);
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + 20_000;
  while (!(await condition())) {
    if (Date.now() > deadlineMs) throw new Error('the condition did not come true within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('the agent as a program', () => {
  it('enrols, runs a job that tells its progress, reports it, and ends with 0 on SIGTERM', async () => {
    const agent = await enrolled();
    const request = await world.hears('request');
    expect(request.ad).toMatchObject({ Isolation: 'none', OpSys: expect.any(String), HasNode: true });
    give(
      request,
      shell(0, 'echo 0.5 >"$COPILOT_PROGRESS"; echo "$COPILOT_JOB $SEED"; sleep 1.5; echo oops >&2; exit 3'),
    );
    const report = await world.hears('report');
    expect(report).toMatchObject({ exit: { kind: 'exited', code: 3 }, manifest: [], job: jobId(0) });
    expect(report.logTail).toBe(`${jobId(0)} 7\noops`);
    expect(report.usage.wallSeconds).toBeGreaterThan(1);
    expect(agent.events).toContainEqual(expect.objectContaining({ phase: 'running', progress: 0.5 }));
    const { slot, counter, job, attempt } = report;
    world.broker.say({
      kind: 'reported',
      slot,
      counter,
      job,
      attempt,
      verdict: 'refused',
      reason: 'exit 3',
      verdicts: [],
    });
    await world.hears('request');
    expect(await journal()).toEqual([]);
    agent.child.kill('SIGTERM');
    expect(await agent.ended).toBe(0);
    expect(agent.events.at(-1)).toMatchObject({ kind: 'ended', code: 0 });
    expect(agent.stderr()).toBe('');
  });

  it('moves inputs and outputs through the bridge with capabilities for its own key', async () => {
    const bridge = await openBridgeWorld();
    try {
      await enrolled();
      const request = await world.hears('request');
      const input = someBytes(100_000);
      await putInput(bridge.url(), input);
      const file = fileOf('data/in', input);
      const stored = JSON.parse(await readFile(join(world.agentDirectory(), 'identity.json'), 'utf8'));
      const claims = JSON.parse(Buffer.from(stored.identity.split('.')[1], 'base64url').toString());
      const jkt = thumbprint(crypto, fromBase64url(claims.sig) ?? new Uint8Array());
      const grant = grantFor(jkt, {
        job: jobId(0),
        get: [file],
        put: [{ name: 'out', maxBytes: 1_000_000 }],
      });
      const capabilities = await bridge.bridge().adapter.mint(grant);
      give(
        request,
        shell(
          0,
          'cat data/in data/in >out',
          { capabilities },
          { inputs: [file], outputs: [{ name: 'out' }] },
        ),
      );
      const report = await world.hears('report');
      const expected = fileOf('out', Buffer.concat([input, input]));
      expect(report).toMatchObject({ exit: { kind: 'exited', code: 0 }, manifest: [expected] });
      const attempt = { job: jobId(0), attempt: 1 };
      expect(await bridge.bridge().adapter.verify(attempt, report.manifest)).toEqual({
        kind: 'verified',
        files: [expected],
      });
    } finally {
      await bridge.close();
    }
  });

  it('continues the same attempt after it was killed, with the same key and identity, and no code', async () => {
    const first = await enrolled();
    give(await world.hears('request'), shell(0, 'echo started; [ -e again ] || sleep 60'));
    await until(
      async () => (await journal()).length === 1 && first.events.some(({ phase }) => phase === 'running'),
    );
    first.child.kill('SIGKILL');
    await first.ended;
    world.broker.manners.welcome = {
      slots: [{ slot: 1, counter: 1 }],
      held: [{ job: jobId(0), attempt: 1 }],
      verdicts: [],
    };
    const second = world.launch('--isolation', 'none');
    expect(await world.hears('renew')).toMatchObject({ leases: [{ job: jobId(0), attempt: 1 }] });
    await until(() => second.events.some(({ phase }) => phase === 'running'));
    expect(second.events.find(({ phase }) => phase === 'running')).toMatchObject({
      job: jobId(0),
      attempt: 1,
    });
    expect(new Set(world.broker.starts).size).toBe(2);
  });

  it('gives the running job back on SIGTERM, and nothing of the job is left', async () => {
    const agent = await enrolled();
    const marker = join(world.directory, 'alive');
    give(await world.hears('request'), shell(0, `while true; do date >"${marker}"; sleep 0.1; done`));
    await until(() =>
      stat(marker).then(
        () => true,
        () => false,
      ),
    );
    agent.child.kill('SIGTERM');
    const { slot, counter, job, attempt, reason } = await world.hears('release');
    expect(reason).toBe('drain');
    world.broker.say({ kind: 'released', slot, counter, job, attempt, verdicts: [] });
    expect(await agent.ended).toBe(0);
    const { mtimeMs } = await stat(marker);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect((await stat(marker)).mtimeMs).toBe(mtimeMs);
    expect(await journal()).toEqual([]);
  });

  it('lets a job end within its drain time', async () => {
    const agent = await enrolled('--drain', '30');
    give(await world.hears('request'), shell(0, 'sleep 1'));
    await until(() => agent.events.some(({ phase }) => phase === 'running'));
    agent.child.kill('SIGTERM');
    const report = await world.hears('report');
    expect(report.next).toBeUndefined();
    const { slot, counter, job, attempt } = report;
    world.broker.say({
      kind: 'reported',
      slot,
      counter,
      job,
      attempt,
      verdict: 'committed',
      reason: '',
      verdicts: [],
    });
    expect(await agent.ended).toBe(0);
  });

  it('keeps its secrets to itself: none in what it says, in its files’ modes, or in a job’s environment', async () => {
    const agent = await enrolled();
    give(await world.hears('request'), shell(0, 'env; ls -a; ls -a ..'));
    const { logTail } = await world.hears('report');
    const keys = JSON.parse(await readFile(join(world.agentDirectory(), 'keys.json'), 'utf8'));
    const { identity } = JSON.parse(await readFile(join(world.agentDirectory(), 'identity.json'), 'utf8'));
    const { secret } = decodeEnrolmentCode(await readFile(join(world.directory, 'code'), 'utf8'));
    const said = JSON.stringify(agent.events) + agent.stderr() + logTail;
    for (const word of [keys.signing.private, keys.session.private, identity, secret])
      expect(said).not.toContain(word);
    for (const name of ['keys.json', 'identity.json'])
      expect((await stat(join(world.agentDirectory(), name))).mode & 0o777).toBe(0o600);
  });
});

it('isolates jobs by the strongest method that works: they have node, and cannot see the agent', async (context) => {
  const agent = world.launch('--code-file', await codeFile(world, await world.newCode()));
  await until(() => agent.events.length > 0);
  const [first] = agent.events;
  if (first?.['code'] === 78 && process.env['CI'] !== 'true') context.skip('no isolation works here');
  expect(first).toMatchObject({ kind: 'isolation', method: expect.not.stringMatching('none') });
  const own = world.agentDirectory();
  const script = `cat "${own}/keys.json" "${own}/identity.json" "${own}/lock.sqlite"; ls "${own}"; kill -9 ${String(agent.child.pid)}; node -p 6*7`;
  give(
    await world.hears('request'),
    shell(0, script, {}, { limits: { wallSeconds: 30, memoryMiB: 512, diskMiB: 64 } }),
  );
  const report = await world.hears('report');
  // Of the agent's directory there is nothing but the way to its own.
  expect(report.logTail.split('\n').slice(0, 2)).toEqual(['attempts', '42']);
  const keys = JSON.parse(await readFile(join(own, 'keys.json'), 'utf8'));
  expect(report.logTail).not.toContain(keys.signing.private);
  expect(report.logTail).not.toContain('signing');
  expect(report.exit).toEqual({ kind: 'exited', code: 0 });
  const { slot, counter, job, attempt } = report;
  world.broker.say({
    kind: 'reported',
    slot,
    counter,
    job,
    attempt,
    verdict: 'committed',
    reason: '',
    verdicts: [],
  });
  await world.hears('request');
  agent.child.kill('SIGTERM');
  expect(await agent.ended).toBe(0);
});

describe('the agent’s exit code says why it ended', () => {
  it('69: the code is spent by another key', async () => {
    const code = await world.newCode();
    const { secret, ...rest } = decodeEnrolmentCode(code);
    const never = encodeEnrolmentCode({
      ...rest,
      secret: `${secret.slice(0, -1)}${secret.endsWith('A') ? 'B' : 'A'}`,
    });
    const agent = world.launch('--code-file', await codeFile(world, never), '--isolation', 'none');
    expect(await agent.ended).toBe(69);
    expect(agent.events.at(-1)).toMatchObject({ reason: expect.stringContaining('ENROLMENT_REFUSED') });
  });

  it('69: it has no code and never enrolled, or something that is none', async () => {
    expect(await world.launch('--isolation', 'none').ended).toBe(69);
    const agent = world.launch('--code-file', await codeFile(world, 'hello'), '--isolation', 'none');
    expect(await agent.ended).toBe(69);
  });

  it('69: whoever answers is not the installation the code pins', async () => {
    const { url, secret } = decodeEnrolmentCode(await world.newCode());
    const forged = encodeEnrolmentCode({ url, secret, certifier: new Uint8Array(32).fill(7) });
    const agent = world.launch('--code-file', await codeFile(world, forged), '--isolation', 'none');
    expect(await agent.ended).toBe(69);
    expect(agent.events.at(-1)).toMatchObject({ reason: expect.stringContaining('NOT_AUTHORIZED') });
  });

  it('77: it is revoked, at the bus and when it wants its identity renewed', async () => {
    world.broker.manners.farewell = 'REVOKED';
    expect(await (await enrolled()).ended).toBe(77);
    const { identity } = JSON.parse(await readFile(join(world.agentDirectory(), 'identity.json'), 'utf8'));
    world.revoked.add(JSON.parse(Buffer.from(identity.split('.')[1], 'base64url').toString()).sub);
    world.broker.manners.farewell = 'IDENTITY_EXPIRED';
    expect(await world.launch('--isolation', 'none').ended).toBe(77);
  });

  it('75: another agent works in the directory; or a newer start took over', async () => {
    const first = await enrolled();
    await world.hears('request');
    expect(await world.launch('--isolation', 'none').ended).toBe(75);
    world.broker.say({ kind: 'farewell', code: 'SUPERSEDED', message: 'a newer start' });
    expect(await first.ended).toBe(75);
  });

  it('78: no isolation works; it says what to install and what going without gives up', async () => {
    const code = await codeFile(world, await world.newCode());
    // Only root can give a job another uid.
    const nobody = process.getuid?.() === 0 ? 65_534 : undefined;
    if (nobody !== undefined) {
      await chmod(world.directory, 0o711);
      await chown(code, nobody, nobody);
      await mkdir(world.agentDirectory());
      await chown(world.agentDirectory(), nobody, nobody);
    }
    const agent = world.launchAs(nobody, '--code-file', code, '--isolation', 'uid');
    expect(await agent.ended).toBe(78);
    const text = String(agent.events.at(-1)?.['reason']);
    expect(text).toContain('apt-get install bubblewrap');
    expect(text).toContain('--isolation none');
    expect(text).not.toContain('cpc1.');
  });
});

it('an identity that has ended is renewed and the agent comes back with it', async () => {
  world.broker.manners.farewell = 'IDENTITY_EXPIRED';
  await enrolled();
  const path = join(world.agentDirectory(), 'identity.json');
  await until(() =>
    stat(path).then(
      () => true,
      () => false,
    ),
  );
  const before = JSON.parse(await readFile(path, 'utf8'));
  await until(async () => JSON.parse(await readFile(path, 'utf8')).obtainedMs > before.obtainedMs);
  world.broker.manners.farewell = undefined;
  await world.hears('request', 40_000);
});

describe('what the site says', () => {
  it('an environment file that is wrong ends it with 78, before it enrols', async () => {
    const file = join(world.directory, 'environment.yaml');
    await writeFile(file, 'squid: x\n');
    const agent = await enrolled('--environment', file);
    expect(await agent.ended).toBe(78);
    expect(agent.events.at(-1)).toMatchObject({ kind: 'ended', reason: expect.stringContaining('squid') });
    expect(agent.events.some(({ kind }) => kind === 'enrolled')).toBe(false);
  });

  it('a host that has not what it is to have asks for no work, and ends with 71 and the reason', async () => {
    const file = join(world.directory, 'environment.yaml');
    await writeFile(file, 'cvmfs: {repositories: [missing.example.org]}\n');
    const agent = await enrolled('--environment', file);
    expect(await agent.ended).toBe(71);
    const reason = 'CVMFS: missing.example.org is not mounted';
    expect(agent.events).toContainEqual({ kind: 'draining', reason });
    expect(agent.events.at(-1)).toEqual({ kind: 'ended', code: 71, reason: `drained: ${reason}` });
    expect(world.broker.inbox).toEqual([]);
  });
});
