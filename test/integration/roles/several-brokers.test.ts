import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConsumeMessage } from 'amqplib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AGENT_EXIT } from '../../../agent/exit-codes.ts';
import type { StoredJob } from '../../../broker/ledger/ledger.ts';
import { askBroker } from '../../../cli/connection.ts';
import { connectAmqp } from '../../../protocol/bindings/amqp-connect.ts';
import { AGENT_EXCHANGE, TRUSTED_EXCHANGE } from '../../../protocol/bindings/amqp-topology.ts';
import { eventually, eventuallyTrue } from '../../doubles/eventually.ts';
import { LACKS_RABBIT } from '../../doubles/locked-rabbitmq.ts';
import {
  FIRST,
  openSeveralBrokers,
  type SeveralBrokers,
  type StagedAgent,
} from '../../doubles/several-brokers.ts';
import { OPERATOR } from '../../doubles/staged-server.ts';

const SECOND = 'broker-2';
const WITHIN_MS = 60_000;
const STEP = 'echo event > events.dat; sleep 0.2';

/** A busy machine starts programs slowly. */
const options = { timeout: 180_000 };

describe.skipIf(LACKS_RABBIT)(
  'several brokers on one bus (left out where RabbitMQ is not installed)',
  options,
  () => {
    let stage: SeveralBrokers | undefined;
    let whyNot: string | undefined;
    const all: string[] = [];
    const agents: StagedAgent[] = [];

    beforeAll(async () => {
      try {
        stage = await openSeveralBrokers();
        await stage.start(FIRST);
      } catch (caught) {
        whyNot = String(caught);
        if (!whyNot.includes('is not installed')) throw caught;
      }
    }, 120_000);
    afterAll(() => stage?.close(), 120_000);
    beforeEach((context) => {
      if (whyNot === undefined) return;
      if (process.env['CI'] === 'true') throw new Error(whyNot);
      context.skip(whyNot);
    });

    const here = (): SeveralBrokers => {
      if (stage === undefined) throw new Error('the stage was not set');
      return stage;
    };
    async function submit(count: number, script = STEP): Promise<readonly string[]> {
      const jobs = await here().submit(count, script);
      all.push(...jobs);
      return jobs;
    }
    const eventuallyFinished = (jobs: readonly string[], count = jobs.length): Promise<void> =>
      eventuallyTrue(`${count} jobs to finish`, () => here().finished(jobs) >= count, WITHIN_MS);
    const eventuallyThere = (what: string, holds: (ids: readonly string[]) => boolean): Promise<void> =>
      eventuallyTrue(what, async () => holds(await here().connected(SECOND)), WITHIN_MS);

    const rowsOf = (jobs: readonly string[]): Promise<readonly StoredJob[]> =>
      Promise.all(
        jobs.map((job) => askBroker<StoredJob>(here().directoryOf(FIRST), 'GET', `/v1/jobs/${job}`)),
      );

    /** Undefined until the broker has heard that their queue knows. */
    async function settledRowsOf(jobs: readonly string[]): Promise<readonly StoredJob[] | undefined> {
      const rows = await rowsOf(jobs);
      return rows.every(({ job }) => job.state === 'told') ? rows : undefined;
    }

    it('I1 I3 I4 lose no job and commit none twice while one is added, one is killed and one comes again under load', async () => {
      const brokers = here();
      agents.push(await brokers.agent(FIRST, 2), await brokers.agent(FIRST, 2));
      const end = join(brokers.directoryOf(FIRST), 'end');
      // Leased at the first broker, and running until all has happened.
      const long = await submit(2, `while [ ! -e ${end} ]; do sleep 0.5; done; ${STEP}`);
      const short = await submit(8);
      await eventuallyFinished(short, 2);
      await brokers.add(SECOND);
      await brokers.start(SECOND);
      // Their codes are of one broker; their handshakes are answered by either.
      agents.push(await brokers.agent(SECOND, 2), await brokers.agent(SECOND, 2));
      await eventuallyThere('a session there', (ids) => ids.length > 0);
      expect((await brokers.connected(FIRST)).length).toBeGreaterThan(0);
      await brokers.kill(FIRST);
      const ids = agents.map(({ id }) => id).toSorted();
      // Those that wait for work too, to whom nothing tells that their broker is gone.
      await eventuallyThere('every agent at the other', (there) => there.toSorted().join() === ids.join());
      const later = await submit(4);
      await brokers.start(FIRST);
      expect(brokers.finished(long)).toBe(0);
      await writeFile(end, '');
      await eventuallyFinished([...long, ...short, ...later]);
      expect(await brokers.faults(all)).toEqual([]);
      for (const { job } of await rowsOf(long)) expect(job.attempts).toHaveLength(1);
    });

    it('send away who was revoked at another, and let go who was drained there', async () => {
      const brokers = here();
      const [revoked, drained] = await brokers.connected(SECOND);
      for (const id of [revoked, drained]) expect(await brokers.connected(FIRST)).not.toContain(id);
      await brokers.run('agent', 'revoke', revoked!, '--yes');
      await brokers.run('agent', 'drain', drained!);
      const leave = (id?: string): StagedAgent =>
        agents.splice(
          agents.findIndex((agent) => agent.id === id),
          1,
        )[0]!;
      expect(await leave(revoked).ended).toBe(AGENT_EXIT.revoked);
      expect(await leave(drained).ended).toBe(AGENT_EXIT.drained);
    });

    it('sign by other keys from one moment to the next in an emergency, and honest agents stay', async () => {
      const brokers = here();
      const stolen = await Promise.all(
        agents.map(async (agent) => ({ user: agent.id, password: await agent.identity() })),
      );
      const ownKey = await connectAmqp(brokers.busUrl, stolen[0]!);
      await ownKey.close();
      await brokers.run('key', 'roll', 'identity', '--emergency');
      await brokers.run('key', 'roll', 'grant', '--emergency');
      for (const [at, agent] of agents.entries())
        await eventuallyTrue(
          'a new identity',
          async () => (await agent.identity()) !== stolen[at]?.password,
          WITHIN_MS,
        );
      for (const login of stolen)
        await expect(connectAmqp(brokers.busUrl, login)).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
      // Brokers sign, agents show and the bridge believes what is new, and none was started again.
      await eventuallyFinished(await submit(3));
    });

    it('let whoever runs the bus read nothing of it, and believe nothing that it sends in anybody’s name', async () => {
      const brokers = here();
      const model = await connectAmqp(brokers.busUrl, OPERATOR);
      const channel = await model.createConfirmChannel();
      const { queue } = await channel.assertQueue('', { exclusive: true });
      for (const exchange of [AGENT_EXCHANGE, TRUSTED_EXCHANGE])
        await channel.bindQueue(queue, exchange, '#');
      const seen: ConsumeMessage[] = [];
      await channel.consume(queue, (message) => message !== null && seen.push(message), { noAck: true });
      const jobs = await submit(3, 'echo muon-canary > events.dat');
      await eventuallyFinished(jobs);
      const before = await eventually('it to be settled', () => settledRowsOf(jobs), WITHIN_MS);
      const ids = agents.map(({ id }) => id);
      for (const { content } of seen)
        for (const needle of ['muon-canary', 'events.dat', '"kind"', ...jobs, ...ids])
          expect(content.includes(needle)).toBe(false);
      const caught = seen.splice(0);
      expect(caught.length).toBeGreaterThan(10);
      const finished = (job: string, at: number) =>
        JSON.stringify({
          kind: 'ask',
          items: [{ op: 'finished', item: at, job, attempt: 1, manifest: [], usage: {} }],
        });
      const grant = JSON.stringify({ kind: 'ask', items: [{ op: 'grant', item: 1, grant: 'e30.e30.e30' }] });
      for (const { fields, content } of caught) {
        const [to = '', from = ''] = fields.routingKey.split('.');
        const changed = Buffer.from(content);
        changed[changed.length - 1]! ^= 1;
        for (const frame of [content, content, changed])
          channel.publish(fields.exchange, fields.routingKey, frame);
        // Back to its sender, and to others than it was for.
        channel.publish(fields.exchange, `${from}.${to}`, content);
        for (const other of [
          'broker',
          `broker:${FIRST}`,
          `broker:${SECOND}`,
          'service~bridge',
          'service~local',
        ])
          channel.publish(TRUSTED_EXCHANGE, `${other}.${from}`, content);
      }
      for (const [at, job] of jobs.entries())
        for (const broker of [FIRST, SECOND]) {
          channel.publish(TRUSTED_EXCHANGE, `service~local.broker:${broker}`, Buffer.from(finished(job, at)));
          channel.publish(TRUSTED_EXCHANGE, `service~bridge.broker:${broker}`, Buffer.from(grant));
        }
      await channel.waitForConfirms();
      await eventuallyTrue('it all to pass', () => seen.length >= caught.length * 3, WITHIN_MS);
      // What comes later is served behind it.
      await eventuallyFinished(await submit(2));
      expect(await rowsOf(jobs)).toEqual(before);
      expect(await brokers.faults(all)).toEqual([]);
      await model.close();
    });
  },
);
