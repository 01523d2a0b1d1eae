import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acceptsConnections } from '../../cli/accepts-connections.ts';
import { RunningCommand } from '../doubles/co-pilot-command.ts';
import { LACKS_EJABBERD } from '../doubles/locked-ejabberd.ts';
import { LACKS_PROSODY } from '../doubles/locked-prosody.ts';
import { LACKS_RABBIT } from '../doubles/locked-rabbitmq.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';
import { writeCampaign } from '../e2e/campaigns.ts';

let base: string;
let command: RunningCommand | undefined;

beforeEach(async () => {
  base = await temporaryDirectory('demo-on-server');
});

afterEach(async () => {
  await command?.kill();
  await removeDirectory(base);
});

const SERVERS = [
  { kind: 'rabbitmq', lacks: LACKS_RABBIT },
  { kind: 'prosody', lacks: LACKS_PROSODY },
  { kind: 'ejabberd', lacks: LACKS_EJABBERD },
];

for (const { kind, lacks } of SERVERS)
  describe.skipIf(lacks)(`up --bus ${kind} (left out where it is not installed)`, () => {
    it('runs a campaign over a server of its own, through chaos, and takes the server down with it', async () => {
      const campaign = await writeCampaign(base, {
        name: 'small',
        jobs: 12,
        script: 'sleep 2; echo ${n} > number.txt',
        outputs: ['number.txt'],
      });
      command = new RunningCommand([
        ...['up', campaign, '--once', '--chaos', '--bus', kind],
        ...['--data', join(base, 'installation'), '--agents', '3'],
      ]);
      const { code, stdout, stderr } = await command.endsWithin(300_000);
      expect({ code, stdout, stderr }).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/12 of 12 jobs finished[^]*12 of 12 jobs committed exactly once/),
      });
      const [, port = ''] = /bus +[a-z]+:\/\/127\.0\.0\.1:(\d+)/.exec(stdout) ?? [];
      expect(Number(port)).toBeGreaterThan(0);
      expect(await acceptsConnections(Number(port))).toBe(false);
    });
  });
