import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { JobState } from '../../../adapters/jobs/panda/job-state.ts';
import type { Json } from '../../../adapters/jobs/panda/panda-job.ts';
import { createPilotDesk, type PilotLease } from '../../../adapters/jobs/panda/pilot-desk.ts';
import type { Heard } from '../../../adapters/jobs/panda/panda-client.ts';
import { CAPTURED, JOB_REPLY } from '../../doubles/panda/captured-pilot.ts';

const MEMBERS = Object.fromEntries(
  [...new URLSearchParams(JOB_REPLY)].slice(1).map(([name, value]): [string, Json] => {
    if (value === 'None') return [name, null];
    return [name, /^\d+$/u.test(value) ? Number(value) : value];
  }),
);
const STATE: JobState = {
  id: 4001,
  attempt: 1,
  site: 'CP_TEST',
  task: 77,
  jobset: 88,
  outputs: [],
  takesEvents: false,
  members: MEMBERS,
};
const LEASE: PilotLease = { job: 'a'.repeat(26), attempt: 1, state: STATE };
const JSON_TYPE = 'application/json';
const FORM = 'application/x-www-form-urlencoded';

function desk(command = 'NULL') {
  const beats: PilotLease[] = [];
  const counted: unknown[] = [];
  const pilots = createPilotDesk({
    beat: (lease) => {
      beats.push(lease);
      return Promise.resolve<Heard>({ kind: 'heard', command });
    },
    status: (id) => Promise.resolve({ id, status: 'running', attempt: 1 }),
    resourceTypes: () => Promise.resolve([]),
    count: {
      async said(job, attempt, events) {
        counted.push([job, attempt, events]);
      },
    },
  });
  const ask = async (method: string, contentType: string, accept: string, body: string, lease = LEASE) => {
    const answer: unknown = JSON.parse(
      await pilots.call(lease, method, JSON.stringify({ contentType, accept, body })),
    );
    const { status, contentType: type, body: said } = answer as Record<string, string>;
    return { status, type, body: Buffer.from(said ?? '', 'base64').toString() };
  };
  const update = (fields: object, accept = ''): ReturnType<typeof ask> =>
    ask('updateJob', JSON_TYPE, accept, gzipSync(JSON.stringify(fields)).toString('base64'));
  return { pilots, beats, counted, ask, update };
}

describe('what a pilot gets through a call', () => {
  it('is, byte for byte, what a real pilot took: getJob', async () => {
    const { ask } = desk();
    expect(await ask('getJob', JSON_TYPE, '', CAPTURED.getJob)).toEqual({
      status: 200,
      type: 'text/plain',
      body: JOB_REPLY,
    });
  });

  it('is, byte for byte, what a real pilot took: updateJob and updateWorkerPilotStatus', async () => {
    const { ask, beats } = desk();
    expect((await ask('updateJob', JSON_TYPE, '', CAPTURED.updateJob)).body).toBe(
      'StatusCode=0&command=NULL',
    );
    expect(beats).toEqual([LEASE]);
    const worker = await ask('updateWorkerPilotStatus', JSON_TYPE, '', CAPTURED.updateWorkerPilotStatus);
    expect(worker.body).toBe('StatusCode=0');
    const killed = desk('tobekilled');
    expect((await killed.ask('updateJob', JSON_TYPE, '', CAPTURED.updateJob)).body).toBe(
      'StatusCode=0&command=tobekilled',
    );
  });

  it('is JSON for the fallback that asks for it with a form', async () => {
    const { ask } = desk();
    const form = Buffer.from('siteName=CP_TEST&node=vm&jobType=user').toString('base64');
    const answer = await ask('getJob', FORM, JSON_TYPE, form);
    expect(answer.type).toBe(JSON_TYPE);
    expect(JSON.parse(answer.body)).toEqual({ StatusCode: 0, ...MEMBERS });
  });

  it('is no second job once the pilot said that the first is done', async () => {
    const { ask, update } = desk();
    const done = { jobId: '4001', state: 'finished', attemptNr: 1 };
    expect((await update(done)).body).toBe('StatusCode=0&command=NULL');
    expect((await ask('getJob', JSON_TYPE, '', CAPTURED.getJob)).body).toBe('StatusCode=20');
    const other = { ...LEASE, attempt: 2 };
    expect((await ask('getJob', JSON_TYPE, '', CAPTURED.getJob, other)).body).toBe(JOB_REPLY);
  });

  it('says where its own job stands, and of no other', async () => {
    const { ask } = desk();
    const ids = Buffer.from('ids=4001 4002').toString('base64');
    expect((await ask('getStatus', FORM, '', ids)).body).toBe(
      'StatusCode=0&status=running%2Bnotfound&attemptNr=1%2B0',
    );
  });

  it('relays no free command', async () => {
    const { update } = desk('rm -rf /');
    expect((await update({ jobId: '4001', state: 'running', attemptNr: 1 })).body).toBe(
      'StatusCode=0&command=NULL',
    );
  });
});

describe('what a pilot cannot do through a call', () => {
  it.each([
    ['another job', { jobId: '4002', state: 'finished', attemptNr: 1 }],
    ['another attempt', { jobId: '4001', state: 'finished', attemptNr: 2 }],
    ['no attempt', { jobId: '4001', state: 'finished' }],
  ])('is to say something of %s', async (_what, fields) => {
    const { update, pilots, beats } = desk();
    expect((await update(fields)).body).toBe('StatusCode=0&command=tobekilled');
    expect(pilots.final(LEASE.job, 1)).toBeUndefined();
    expect(beats).toEqual([]);
  });

  it('is to set a state that PanDA does not know', async () => {
    const { update, beats } = desk();
    expect((await update({ jobId: '4001', state: 'archived', attemptNr: 1 })).body).toBe('StatusCode=0');
    expect(beats).toEqual([]);
  });

  it.each(['updateJobsInBulk', 'getProxy', 'get_access_token', 'killJobs', 'constructor', '__proto__'])(
    'is to call %s',
    async (method) => {
      await expect(desk().ask(method, FORM, '', '')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    },
  );

  it('is to call at all from a job that has no pilot', async () => {
    const lease = { ...LEASE, state: { ...STATE, members: undefined } };
    await expect(desk().ask('getJob', FORM, '', '', lease)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  it('is to bring its own sums: of its last word codes and texts are kept, within bounds, and no report', async () => {
    const { update, pilots } = desk();
    await update({
      jobId: '4001',
      state: 'failed',
      attemptNr: 1,
      pilotErrorCode: 1305,
      transExitCode: 65,
      pilotErrorDiag: `Failed\u0007${'x'.repeat(5000)}`,
      pilotLog: 'y'.repeat(5000),
      xml: '{"user.cp.0001.out.txt":{"adler32":"deadbeef"}}',
    });
    const final = pilots.final(LEASE.job, 1);
    expect(final).toMatchObject({ status: 'failed', outcome: { pilotErrorCode: 1305, transExitCode: 65 } });
    expect(final?.outcome.pilotErrorDiag).toMatch(/^Failed\?x{1,493}$/u);
    expect(final?.log).toHaveLength(1024);
    expect(JSON.stringify(final)).not.toContain('deadbeef');
  });

  it('is to say of more events than anybody counts, or of none that is a number', async () => {
    const { update, pilots, counted } = desk();
    for (const nEvents of [-1, 1e10, 0.5, '1e3', ' 7', '0x10', [5], true, null, '9'.repeat(400)]) {
      await update({ jobId: '4001', state: 'finished', attemptNr: 1, nEvents });
      expect(pilots.final(LEASE.job, 1)?.events).toBeUndefined();
    }
    expect(counted).toEqual([]);
    await update({ jobId: '4001', state: 'finished', attemptNr: 1, nEvents: 1_000 });
    expect([pilots.final(LEASE.job, 1)?.events, counted]).toEqual([1_000, [[LEASE.job, 1, 1_000]]]);
  });

  it('is to break the desk with a body: a bomb, no gzip, no base64, no request', async () => {
    const { ask, pilots } = desk();
    const bomb = gzipSync(Buffer.alloc(2 * 1024 * 1024)).toString('base64');
    for (const body of [bomb, 'AAAA', '!!!', gzipSync('[1]').toString('base64')])
      expect(await ask('updateJob', JSON_TYPE, '', body)).toMatchObject({ status: 500 });
    for (const text of ['', 'x', '[]', '{}', '{"contentType":1}'])
      await expect(pilots.call(LEASE, 'getJob', text)).rejects.toMatchObject({ code: 'MALFORMED_REQUEST' });
  });
});
