import { Readable } from 'node:stream';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { startCksum } from '../../../adapters/jobs/crab/cksum.ts';
import { codeOf, decideRetry } from '../../../adapters/jobs/crab/exit-policy.ts';
import { nameOf } from '../../../adapters/jobs/crab/job-description.ts';
import { readReport } from '../../../adapters/jobs/crab/job-report.ts';
import { numbered, placesOf } from '../../../adapters/jobs/crab/lfn.ts';
import { readTask } from '../../../adapters/jobs/crab/crab-task.ts';
import { rowsOf } from '../../../adapters/jobs/crab/rest-answer.ts';
import { checkSandbox } from '../../../adapters/jobs/crab/sandbox-check.ts';
import { inputArguments, jobsOf } from '../../../adapters/jobs/crab/split.ts';
import { makeArchive, type Member } from '../../doubles/crab/archive.ts';
import { createTaskTable } from '../../doubles/crab/task-table.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

const task = (columns = {}) =>
  readTask(
    createTaskTable(createManualClock()).insert('260101_000000:alice_study', {
      tm_user_sandbox: 'x.tar.gz',
      ...columns,
    }),
  );

describe('checksums of files', () => {
  it.each([
    ['', '4294967295'],
    ['123456789', '930766865'],
    ['a'.repeat(300), '1664553091'],
  ])('are those of the command cksum', (text, sum) => {
    const cksum = startCksum();
    for (let at = 0; at < text.length; at += 7) cksum.update(Buffer.from(text.slice(at, at + 7)));
    expect(cksum.value()).toBe(sum);
  });
});

describe('an event-based split', () => {
  it('covers every event once, in order, whatever the sizes', () => {
    for (const [total, each] of [
      [1, 1],
      [10, 3],
      [25, 10],
      [100, 100],
      [7, 50],
      [10_000, 1],
    ] as const) {
      const split = task({ tm_totalunits: total, tm_split_args: { events_per_job: each } });
      let next = 1;
      for (let number = 1; number <= jobsOf(split); number++) {
        const { firstEvent, lastEvent } = inputArguments(split, number);
        expect(Number(firstEvent)).toBe(next);
        expect(Number(lastEvent)).toBeGreaterThan(next);
        next = Number(lastEvent);
      }
      expect(next).toBe(total + 1);
    }
  });

  it('gives lumi sections to one job alone, also where the last event of one is left out', () => {
    const split = task({ tm_totalunits: 30, tm_split_args: { events_per_job: 10 }, tm_events_per_lumi: 4 });
    expect([1, 2, 3].map((number) => inputArguments(split, number)['firstLumi'])).toEqual(['1', '4', '7']);
  });
});

describe('names', () => {
  it('of files have the job’s number before their last ending, in the folder of their thousand', () => {
    expect([numbered('out.root', 7), numbered('a.b.txt', 7), numbered('log', 7)]).toEqual([
      'out_7.root',
      'a.b_7.txt',
      'log_7',
    ]);
    const { temporary, final } = placesOf(task({ tm_output_lfn: '/store/user/alice/deep/er' }), 2001);
    expect(final).toBe('/store/user/alice/deep/er/MinBias/study/260101_000000/0002');
    expect(temporary).toMatch(
      /^\/store\/temp\/user\/alice\.[0-9a-f]{40}\/deep\/er\/MinBias\/study\/260101_000000\/0002$/,
    );
    const group = placesOf(task({ tm_output_lfn: '/store/group/b2g' }), 1);
    expect(group.final).toBe('/store/group/b2g/MinBias/study/260101_000000/0000');
    expect(group.temporary).toContain('/b2g/MinBias/');
  });

  it('of the broker are those of CRAB where they can be, and differ where those do', () => {
    expect(nameOf('alice')).toBe('alice');
    const names = [
      '260101_000000:a_x',
      '260101_000000-a_x',
      '260101_000000:A_x',
      'x'.repeat(232),
      `${'x'.repeat(231)}y`,
    ];
    const made = names.map(nameOf);
    expect(new Set(made).size).toBe(names.length);
    for (const name of made) expect(name).toMatch(/^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/);
  });
});

describe('answers of the server', () => {
  const answer = (body: string, status = 200, headers = {}) => ({ status, headers, body: Buffer.from(body) });

  it('are rows by column, or as they come', () => {
    expect(rowsOf(answer('{"desc": {"columns": ["a", "b"]}, "result": [\n [1, 2]\n,[3, 4]\n]}'))).toEqual([
      { a: 1, b: 2 },
      { a: 3, b: 4 },
    ]);
    expect(rowsOf(answer('{"result": [\n {"a": 1}\n]}\n'))).toEqual([{ a: 1 }]);
  });

  it.each([
    ['HTML', answer('<html>')],
    ['half', answer('{"result": [\n {"a": 1}\n')],
    ['no result', answer('{"results": []}')],
    ['rows longer than their columns', answer('{"desc": {"columns": ["a"]}, "result": [[1, 2]]}')],
    ['columns that are none', answer('{"desc": {"columns": "a"}, "result": [[1]]}')],
    ['503', answer('', 503, { 'x-rest-status': '401' })],
    ['403 of the front end', answer('', 403, { 'x-rest-status': '200' })],
    ['401 of a credential that ended', answer('', 401)],
    ['404 of a proxy', answer('<html>', 404)],
  ])('may be better another time where one is %s', (_, bad) => {
    expect(() => rowsOf(bad)).toThrow(expect.objectContaining({ code: 'UNREACHABLE' }));
  });

  it('are final where the server says so itself', () => {
    const refused = answer('', 400, { 'x-rest-status': '302', 'x-error-info': 'Incorrect\n’x’' });
    expect(() => rowsOf(refused)).toThrow(expect.objectContaining({ appCode: 302, code: 'RESULT_REFUSED' }));
  });
});

describe('what a failed try leads to', () => {
  const bounds = { memoryMiB: 1000, wallSeconds: 100 };
  const decide = (code: number, change = {}) =>
    decideRetry({ code, retry: 0, bounds, isExpired: false, ...change }, 2);

  it('is another try for the codes that are known to pass, and none for every other', () => {
    for (const code of [
      1, 134, 137, 10034, 10040, 50115, 50513, 60307, 60311, 60403, 8001, 8020, 8021, 8022, 8028, 50666,
    ])
      expect([code, decide(code).kind]).toEqual([code, 'retry']);
    for (const code of [2, 68, 143, 11003, 50113, 50660, 50662, 50664, 60302, 80000, 80001, 90000, 99999])
      expect([code, decide(code).kind]).toEqual([code, 'fatal']);
  });

  it('is none after the last one, over its memory, or when the task’s life is over', () => {
    expect(decide(8001, { retry: 2 }).kind).toBe('fatal');
    expect(decide(8001, { usedMemoryMiB: 1001 }).kind).toBe('fatal');
    expect(decide(8001, { isExpired: true }).kind).toBe('fatal');
  });

  it('is read from what the agent saw where there is no report', () => {
    expect(codeOf({ kind: 'exited', code: 134 })).toBe(134);
    expect(codeOf({ kind: 'exited', code: 0 })).toBe(50_115);
    expect(codeOf({ kind: 'signalled', signal: 'SIGKILL' })).toBe(137);
    expect(codeOf({ kind: 'limit', limit: 'memory' })).toBe(50_660);
    expect(codeOf({ kind: 'limit', limit: 'wall' })).toBe(50_664);
    expect(codeOf({ kind: 'failed', reason: 'x' })).toBe(80_001);
    expect(codeOf(undefined)).toBe(50_666);
  });
});

describe('a job’s report', () => {
  it('is read with the key that some releases misspell, and with runs as lists', () => {
    const report = {
      exitCode: 0,
      steps: {
        cmsRun: {
          output: {
            o: [
              {
                pfn: '/a/b/out.root',
                ouput_module_class: 'PoolOutputModule',
                events: 3,
                runs: { 1: [2, 3] },
              },
            ],
          },
        },
      },
    };
    expect(readReport(Buffer.from(JSON.stringify(report)))?.outputs).toMatchObject([
      {
        name: 'out.root',
        kind: 'EDM',
        events: 3,
        runs: [
          {
            run: 1,
            lumis: [
              [2, undefined],
              [3, undefined],
            ],
          },
        ],
      },
    ]);
  });

  it('is none where it is too deep, too large or without a code, at once', () => {
    const began = performance.now();
    expect(readReport(Buffer.from(`{"exitCode":0,"a":${'['.repeat(1_000_000)}`))).toBeUndefined();
    expect(readReport(Buffer.alloc(10 * 1024 * 1024 + 1, '{'))).toBeUndefined();
    expect(readReport(Buffer.from('{"exitCode":-1}'))).toBeUndefined();
    expect(readReport(Buffer.from('{"exitCode":1e5}'))).toBeUndefined();
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});

describe('a sandbox', () => {
  const check = (packed: Uint8Array, bounds = { members: 100, bytes: 100_000 }): Promise<void> =>
    checkSandbox(
      Readable.from([Buffer.from(packed.subarray(0, 10)), Buffer.from(packed.subarray(10))]),
      bounds,
    );
  const pax = (text: string): Member => ({ name: 'pax', type: 'x', content: `${text.length + 4} ${text}\n` });

  it('with files and folders below its place is taken', async () => {
    await check(
      makeArchive([
        { name: 'lib/', type: '5' },
        { name: 'lib/x.so', content: 'x'.repeat(1000) },
        { name: '././@LongLink', type: 'L', content: `${'d/'.repeat(100)}x\0` },
        { name: 'short', content: 'y' },
        pax('path=deep/er.py'),
        { name: 'er.py', content: '..' },
        { name: '..almost', content: '' },
      ]),
    );
  });

  it.each<[string, readonly Member[], string]>([
    ['a symbolic link', [{ name: 'a', type: '2', link: 'b' }], 'symbolic link'],
    ['a hard link', [{ name: 'a', type: '1', link: 'b' }], 'hard link'],
    ['a device', [{ name: 'a', type: '4' }], 'device'],
    ['a pipe', [{ name: 'a', type: '6' }], 'pipe'],
    ['something unknown', [{ name: 'a', type: 'S' }], 'neither'],
    ['an absolute name', [{ name: '/a' }], 'below'],
    ['a name that climbs', [{ name: 'a/../../b' }], 'below'],
    ['a long name that climbs', [{ name: 'x', type: 'L', content: '../x\0' }, { name: 'x' }], 'below'],
    ['an extended name that climbs', [pax('path=/etc/passwd'), { name: 'x' }], 'below'],
    ['an extended link', [pax('linkpath=/etc'), { name: 'x' }], 'link'],
    ['a name for all that follow', [{ ...pax('path=x'), type: 'g' }, { name: 'x' }], 'all of its members'],
    ['a size that is said twice', [pax('size=1'), { name: 'x' }], 'twice'],
    ['a name without end', [{ name: 'x', type: 'L', content: 'x'.repeat(70_000) }], 'too long'],
    ['more members than are taken', Array.from({ length: 101 }, (_, at) => ({ name: `f${at}` })), 'members'],
    ['more bytes than are taken', [{ name: 'x', content: 'x'.repeat(100_001) }], 'bytes'],
    ['a size that its bytes do not have', [{ name: 'x', size: 90_000 }], 'middle'],
    ['nothing', [], 'empty'],
  ])('with %s is refused', async (_, members, reason) => {
    await expect(check(makeArchive(members))).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: expect.stringContaining(reason),
    });
  });

  it('that is a bomb is refused before it has unpacked', async () => {
    const bomb = gzipSync(makeArchiveOf('x', 5 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(100_000);
    await expect(check(bomb)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    const padding = gzipSync(Buffer.alloc(5 * 1024 * 1024));
    await expect(check(padding)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });

  it.each([
    ['plain text', Buffer.from('hello')],
    ['cut short', makeArchive([{ name: 'x', content: 'x'.repeat(5000) }]).subarray(0, -30)],
    ['packed noise', gzipSync(Buffer.from('hello'.repeat(200)))],
  ])('that is %s is refused', async (_, bytes) => {
    await expect(check(bytes)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });
});

/** A header that is right, and as many zeros. */
function makeArchiveOf(name: string, size: number): Buffer {
  const header = makeArchive([{ name, size }]);
  return Buffer.concat([gunzipSync(header).subarray(0, 512), Buffer.alloc(size)]);
}
