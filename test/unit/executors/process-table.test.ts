import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { createJobProcesses } from '../../../agent/executors/job-processes.ts';
import { decodeEnding } from '../../../agent/executors/process-launcher.ts';
import {
  descendants,
  listProcesses,
  parseStat,
  recentProcesses,
} from '../../../agent/executors/process-table.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';

describe('/proc/<pid>/stat', () => {
  it('is read past a name that looks like fields', () => {
    const stat = '42 (a) S 1 2) R 7 42 40 0 -1 4194304 1 2 3 4 100 50 25 25 20 0 1 0 9876 1 2 3';
    expect(parseStat(42, stat)).toEqual({
      pid: 42,
      parent: 7,
      session: 40,
      cpuSeconds: 2,
      startTicks: 9876,
      isZombie: false,
    });
    expect(parseStat(42, stat.replace(') R', ') Z'))).toMatchObject({ isZombie: true });
  });

  it('gives the tree below a process', () => {
    const entry = (pid: number, parent: number) => ({ ...parseStat(pid, `${pid} (x) S ${parent} 0 0`), pid });
    const table = [entry(5, 4), entry(4, 2), entry(2, 1), entry(3, 1), entry(6, 2)];
    expect(descendants(2, table).map(({ pid }) => pid)).toEqual([2, 4, 6, 5]);
    expect(descendants(9, table)).toEqual([]);
  });
});

describe('the table that jobs are measured by', () => {
  it('is one for all that ask within a moment, and a new one where their process is younger', async () => {
    const table = recentProcesses(process.pid);
    for (let job = 0; job < 60; job++) expect(recentProcesses(process.pid)).toBe(table);
    const child = spawn('sleep', ['60']);
    await once(child, 'spawn');
    expect(recentProcesses(child.pid!).some(({ pid }) => pid === child.pid)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const isOver = () => !recentProcesses(process.pid).some(({ pid }) => pid === child.pid);
    await eventuallyTrue('a new table', isOver, 20_000);
  });
});

describe('the end of a job', () => {
  it.each([
    [0, null, { kind: 'exited', code: 0 }],
    [128, null, { kind: 'exited', code: 128 }],
    [137, null, { kind: 'signalled', signal: 'SIGKILL' }],
    [139, null, { kind: 'signalled', signal: 'SIGSEGV' }],
    [192, null, { kind: 'signalled', signal: 'signal 64' }],
    [193, null, { kind: 'exited', code: 193 }],
    [255, null, { kind: 'exited', code: 255 }],
    [null, 'SIGTERM', { kind: 'signalled', signal: 'SIGTERM' }],
    [152, null, { kind: 'limit', limit: 'cpu' }],
    [null, 'SIGXFSZ', { kind: 'limit', limit: 'disk' }],
  ] as const)('code %j and signal %j', (code, signal, ending) => {
    expect(decodeEnding(code, signal)).toEqual(ending);
  });
});

describe('the processes of a job that was never started', () => {
  it.each([undefined, 0, 1])('are none, and nobody else is signalled in their place (pid %j)', (outer) => {
    for (const method of ['bubblewrap', 'unshare', 'uid', 'none'] as const) {
      const processes = createJobProcesses(method, outer, undefined);
      expect(processes.measure(1)).toEqual({ cpuSeconds: 0, memoryMiB: 0 });
      expect(processes.anyLeft()).toBe(false);
    }
  });

  it('a uid that is not known owns nothing', () => {
    expect(listProcesses().length).toBeGreaterThan(0);
    expect(createJobProcesses('uid', 2 ** 22 + 1, undefined).anyLeft()).toBe(false);
  });
});
