import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { enrol } from '../../../agent/enrol.ts';
import { codeWay } from '../../../agent/enrolment-way.ts';
import { postJson } from '../../../agent/http-json.ts';
import type { Command, Outcome } from '../../../broker/core/command.ts';
import { checkLedger } from '../../../broker/ledger/check-ledger.ts';
import type { Ledger } from '../../../broker/ledger/ledger.ts';
import { openPostgresLedger } from '../../../broker/ledger/postgres.ts';
import type { PostgresPlace } from '../../../broker/ledger/postgres-place.ts';
import type { BrokerStatus } from '../../../broker/service/broker.ts';
import { askBroker } from '../../../cli/connection.ts';
import { decodeEnrolmentCode } from '../../../protocol/enrolment.ts';
import { createCrypto, nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { eventually } from '../../doubles/eventually.ts';
import { type LiveBroker, openLiveBroker } from '../../doubles/live-broker.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { temporaryDirectory, removeDirectory } from '../../doubles/temporary-directory.ts';
import { accept, finalised, hello, lease, report, told, verified } from '../../unit/lease-machine/world.ts';
import { optionsOf, usePostgres } from './use-postgres.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 0x7fffffff);
const server = usePostgres();
const crypto = createCrypto();

const JOBS = 240;
const AGENTS = 16;
/** Leases between two connections that are ended. */
const LEASES_A_KILL = 12;

describe('two brokers that hear the framework’s answer to one result', () => {
  it('T-25 count its events once: those of the answer that was recorded first', async () => {
    const place = server().place();
    const open = (instance: string) => openPostgresLedger(optionsOf(place, { clock: nodeClock, instance }));
    const ledgers = [await open('one'), await open('two')] as const;
    const [one, two] = ledgers;
    await one.apply([hello('a'), accept('j1'), lease('a', 'j1', 1), report('a', 'j1', 1, 2)]);
    await one.apply([verified('j1', 1), finalised('j1', 1)]);
    const answers = await Promise.all(
      ledgers.map(async (ledger, at) => (await ledger.apply([told('j1', 'ok', '', 10 + at)]))[0]?.kind),
    );
    expect(answers.toSorted()).toEqual(['told', 'unchanged']);
    const wanted = answers[0] === 'told' ? 10 : 11;
    for (const ledger of ledgers) expect((await ledger.job('j1'))?.job).toMatchObject({ events: wanted });
    await one.close();
    await two.close();
  });
});

describe(`two brokers on one database, connections killed under them (SEED=${seed})`, () => {
  it('I1 I2 I3 lease no job twice, commit each once, and tell one story', async () => {
    const place = server().place();
    const random = createSeededRandom(seed);
    const below = (bound: number): number => Buffer.from(random.bytes(4)).readUInt32LE() % bound;
    const ledgers = await Promise.all(
      ['one', 'two'].map((instance) => openPostgresLedger(optionsOf(place, { clock: nodeClock, instance }))),
    );
    const any = (): Ledger => ledgers[below(ledgers.length)]!;
    const open = new Set(Array.from({ length: JOBS }, (_, at) => `j${at}`));
    const leases = new Map<string, Set<string>>();
    let unavailable = 0;
    let kills = 0;

    /** As an agent does it: the same question again until there is an answer. */
    async function persist(command: Command): Promise<Outcome> {
      for (;;) {
        try {
          return (await any().apply([command]))[0]!;
        } catch (caught) {
          expect(caught).toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
          unavailable += 1;
        }
      }
    }
    async function kill(): Promise<void> {
      const victims = await server().query(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'co-pilot %' AND application_name NOT LIKE '%news' ORDER BY pid",
      );
      const victim = victims[below(Math.max(1, victims.length))];
      if (victim !== undefined) await server().query('SELECT pg_terminate_backend($1)', [victim['pid']]);
      kills += 1;
    }
    async function noteLease(agent: string, job: string, attempt: number): Promise<void> {
      const key = `${job}/${attempt}`;
      leases.set(key, (leases.get(key) ?? new Set()).add(agent));
      if (leases.size % LEASES_A_KILL === 0) await kill();
    }
    async function work(agent: string): Promise<void> {
      await persist(hello(agent));
      let counter = 0;
      while (open.size > 0) {
        const job = [...open][below(open.size)]!;
        const outcome = await persist(lease(agent, job, ++counter));
        const got = outcome.kind === 'repeat' && outcome.reply.kind === 'leased' ? outcome.reply : outcome;
        if (got.kind !== 'leased') {
          if (outcome.kind === 'refused' && outcome.code === 'NOT_QUEUED') open.delete(job);
          continue;
        }
        const { attempt } = got;
        await noteLease(agent, job, attempt);
        await persist(report(agent, job, attempt, ++counter, { seen: [] }));
        await persist(verified(job, attempt));
        await persist(finalised(job, attempt));
        await persist(told(job));
        open.delete(job);
        await persist({ kind: 'seen', agent, start: 's1', seen: [{ job, attempt }] });
      }
    }

    await persist(accept('first'));
    await Promise.all([...open].map((job) => persist(accept(job))));
    await Promise.all(Array.from({ length: AGENTS }, (_, at) => work(`a${at}`)));

    expect(kills).toBeGreaterThan(JOBS / LEASES_A_KILL / 2);
    expect([...leases.values()].filter((agents) => agents.size > 1)).toEqual([]);
    expect(leases.size).toBe(JOBS);
    const counts = await any().count();
    expect([counts.told, counts.queued]).toEqual([JOBS, 1]);
    // A commit whose connection went is asked after, so that hardly anything is ever unknown.
    expect(unavailable).toBeLessThan(JOBS);
    await Promise.all(ledgers.map((ledger) => ledger.close()));
    expect(await faults()).toEqual([]);

    async function faults(): Promise<readonly string[]> {
      const folder = await temporaryDirectory('several');
      const checker = await openPostgresLedger(optionsOf(place, { clock: nodeClock, instance: 'checker' }));
      const copy = join(folder, 'copy.sqlite');
      await checker.snapshot(copy, () => undefined);
      await checker.close();
      const found = checkLedger(copy, () => undefined);
      await removeDirectory(folder);
      return found.faults;
    }
  });
});

const REQUEST = { kind: 'request', ad: { OpSys: 'LINUX', Cpus: 1 }, seen: [] };

/** Each has its own adapters; what they share is the ledger. */
function openBroker(place: PostgresPlace, instance: string): Promise<LiveBroker> {
  return openLiveBroker({
    openLedger: ({ clock, log }) => openPostgresLedger({ place, instance, clock, log }),
    queue: { leaseMs: 60_000, firstRenewMs: 60_000 },
  });
}

describe('two brokers on one database', () => {
  it('I1 wake requests that are parked at the one for jobs that came to the other, each job for one agent', async () => {
    const place = server().place();
    const one = await openBroker(place, 'one');
    const two = await openBroker(place, 'two');
    const agents = await Promise.all([one, one, two, two].map((broker) => broker.agent()));
    const counters = agents.map((agent) => agent.count());
    for (const [at, agent] of agents.entries()) agent.raw.say({ ...REQUEST, slot: 1, counter: counters[at] });
    await parked(one, 2);
    await parked(two, 2);
    const jobs = Array.from({ length: 4 }, () => one.submit());
    const answers = await Promise.all(
      agents.map((agent, at) =>
        eventually(
          'a job',
          () => agent.raw.heard.find((said) => said.kind === 'job' && said.counter === counters[at]),
          20_000,
        ),
      ),
    );
    const given = answers.map((answer) => (answer.kind === 'job' ? answer.lease.job : ''));
    expect(given.toSorted()).toEqual(jobs.toSorted());
    await Promise.all([one.close(), two.close()]);
  });
});

/** Until as many requests wait there. */
async function parked(broker: LiveBroker, count: number): Promise<void> {
  await eventually(
    `${count} parked requests`,
    async () => {
      const { parkedRequests } = await askBroker<BrokerStatus>(broker.directory, 'GET', '/v1/status');
      return parkedRequests === count ? true : undefined;
    },
    10_000,
  );
}

it('a code that one broker made is spent at another, once for all of them', async () => {
  const ledger = { place: server().place(), failover: false };
  const open = (instance: string) => openLiveBroker({ configuration: { ledger, instance } });
  const [one, two] = [await open('one'), await open('two')];
  try {
    const code = decodeEnrolmentCode(await one.newCode());
    const enrolAt = async (broker: LiveBroker) => {
      const at = decodeEnrolmentCode(await broker.newCode());
      const keys = { signing: crypto.generate('ed25519'), session: crypto.generate('x25519') };
      const { signal } = new AbortController();
      const options = { keys, crypto, post: postJson, nowMs: () => nodeClock.wallMs(), signal };
      return enrol(codeWay({ ...at, secret: code.secret }), options);
    };
    expect(await enrolAt(two)).toMatchObject({ installation: 'home' });
    for (const broker of [one, two])
      await expect(enrolAt(broker)).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED' });
  } finally {
    await one.close();
    await two.close();
  }
});
