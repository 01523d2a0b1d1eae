import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXIT } from '../../cli/command-line.ts';
import { eventuallyTrue } from '../doubles/eventually.ts';
import { freePort } from '../doubles/free-port.ts';
import { LACKS_EJABBERD } from '../doubles/locked-ejabberd.ts';
import { LACKS_PROSODY } from '../doubles/locked-prosody.ts';
import { LACKS_RABBIT } from '../doubles/locked-rabbitmq.ts';
import { createSeededRandom } from '../doubles/seeded-random.ts';
import { FIRST, openSeveralBrokers, OTHERS, type SeveralBrokers } from '../doubles/several-brokers.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 0x7fffffff);
const AGENTS = 9;
const JOBS = 400;
const KILLS = 8;
const WITHIN_MS = 600_000;

const SERVERS = [
  { server: 'rabbitmq', lacks: LACKS_RABBIT },
  { server: 'prosody', lacks: LACKS_PROSODY },
  { server: 'ejabberd', lacks: LACKS_EJABBERD },
] as const;

describe.each(SERVERS.filter(({ lacks }) => !lacks))(
  `three brokers on one $server that are killed in turn under load (SEED=${seed}; left out where the server is not installed)`,
  ({ server }) => {
    let stage: SeveralBrokers;
    beforeAll(async () => {
      stage = await openSeveralBrokers(server);
    });
    afterAll(() => stage.close());

    it('I1 I3 I4 lose no job and commit none twice', async () => {
      const random = createSeededRandom(seed);
      const others = OTHERS.slice(0, 2);
      const brokers = [FIRST, ...others];
      await stage.start(FIRST);
      for (const broker of others) {
        await stage.add(broker);
        await stage.start(broker);
      }
      for (let at = 0; at < AGENTS; at++) await stage.agent(brokers[at % brokers.length]!);
      const jobs = await stage.submit(JOBS, 'echo event > events.dat; sleep 0.2');
      const finished = async (count: number): Promise<void> =>
        eventuallyTrue(`${count} jobs to finish`, () => stage.finished(jobs) >= count, WITHIN_MS);
      for (let kill = 1; kill <= KILLS; kill++) {
        await finished(Math.floor((kill * JOBS) / (KILLS + 2)));
        const victim = brokers[random.bytes(1)[0]! % brokers.length]!;
        await stage.kill(victim);
        await finished(Math.floor(((kill + 0.4) * JOBS) / (KILLS + 2)));
        await stage.start(victim);
      }
      await finished(JOBS);
      expect(await stage.faults(jobs)).toEqual([]);
    });

    it('are not joined by one with a ledger of its own', async () => {
      const broker = 'broker-4';
      await stage.add(broker);
      const file = join(stage.directoryOf(broker), 'co-pilot.yaml');
      const settings = await readFile(file, 'utf8');
      await writeFile(file, settings.replace(/^ledger:.*$/m, `ports: { bus: ${await freePort()} }`));
      const refused = stage.begin(broker);
      await refused.says('"event":"failed"', WITHIN_MS);
      expect(refused.stdout).toContain('"code":"LEDGER_IN_USE"');
      expect(await refused.endsWithin(WITHIN_MS)).toMatchObject({ code: EXIT.cannotCreate });
      expect((await stage.status(FIRST)).adapters).toEqual({ local: true, bridge: true });
    });
  },
);
