import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { IsolationMethod } from '../../../agent/executors/launcher.ts';
import { eventually } from '../../doubles/eventually.ts';
import { OUTPUTS, startTrial } from '../../doubles/pilot/pilot-trial.ts';
import { removeDirectory } from '../../doubles/temporary-directory.ts';
import { pilotFolder } from './pilot-folder.ts';

/** What a pilot in a jail of this kind can do, and others on its machine cannot. */
export function pilotInJail(method: IsolationMethod): void {
  it('gets its job, runs it, stages out by mv and reports, over the end point that only it reaches', async () => {
    const pilot = await pilotFolder();
    let release: () => void = () => undefined;
    const trial = await startTrial({
      pilot,
      method,
      jobPars: 'hello',
      onUpdate: ({ length }) =>
        length === 1 ? new Promise((resolve) => (release = resolve)) : Promise.resolve(),
    });
    try {
      const { desk, running, updates, asked, work } = trial;
      await eventually('the first update', () => updates[0], 20_000);
      expect(await knock(Number(desk.environment['COPILOT_PILOT_PORT']))).toBe('');
      release();
      const { exit, said } = await trial.finish();
      expect(exit, said).toMatchObject({ kind: 'exited', code: 0 });
      expect(updates.map(({ state }) => state)).toEqual(['starting', 'running', 'finished']);
      expect(asked).toEqual([
        'updateWorkerPilotStatus',
        'getJob',
        'updateJob',
        'updateJob',
        'updateJob',
        'updateWorkerPilotStatus',
      ]);
      const [output, log] = OUTPUTS;
      expect(await readFile(join(work, output), 'utf8')).toBe('hello\n');
      expect((await readFile(join(work, log))).length).toBeGreaterThan(0);
      expect(JSON.parse(await readFile(join(work, 'queuedata.json'), 'utf8'))).toMatchObject({
        acopytools: { pw: ['mv'] },
      });
      expect(running.holdsSocket(1)).toBe(false);
    } finally {
      release();
      await trial.close();
      await removeDirectory(pilot);
    }
  });
}

/** What somebody else on the machine hears from the end point. */
function knock(port: number): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (chunk) => (heard += chunk.toString()));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(heard));
    socket.write('POST /server/panda/getJob HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
  });
}
