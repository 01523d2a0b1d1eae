import { describe, expect, it } from 'vitest';
import { readJob } from '../../../adapters/jobs/panda/panda-job.ts';
import { DESCRIPTION, jobOf } from './sample-job.ts';

describe('a description of PanDA', () => {
  it('has its outputs with their own scopes, of which the list leaves the log out', () => {
    expect(jobOf().outputs).toEqual([
      { lfn: 'user.cp.0001.out.txt', scope: 'user.cp', endpoint: 'CP_DISK', isLog: false, isOptional: false },
      { lfn: 'user.cp.0001.log.tgz', scope: 'user.log', endpoint: 'CP_DISK', isLog: true, isOptional: false },
    ]);
    const logFirst = jobOf({
      outFiles: 'user.cp.0001.log.tgz,a.txt,b.txt',
      scopeOut: 'one,two',
      allowNoOutput: 'b.txt',
      ddmEndPointOut: 'X,Y,Z',
    });
    expect(logFirst.outputs.map(({ lfn, scope, isOptional }) => [lfn, scope, isOptional])).toEqual([
      ['user.cp.0001.log.tgz', 'user.log', false],
      ['a.txt', 'one', false],
      ['b.txt', 'two', true],
    ]);
  });

  it('has its inputs aligned, and NULL for what is not known', () => {
    const job = jobOf({
      inFiles: 'a.root,b.root',
      fsize: '10,NULL',
      checksum: 'ad:1,NULL',
      scopeIn: 'mc,mc',
      ddmEndPointIn: 'CP_DISK,CP_DISK',
    });
    expect(job.inputs).toEqual([
      { lfn: 'a.root', scope: 'mc', size: 10, checksum: 'ad:1', endpoint: 'CP_DISK' },
      { lfn: 'b.root', scope: 'mc', size: undefined, checksum: undefined, endpoint: 'CP_DISK' },
    ]);
  });

  it('I10 loses every secret, those of a PanDA to come too', () => {
    expect(JSON.stringify(jobOf())).not.toContain('CANARY');
  });

  it.each(Object.keys(DESCRIPTION))('without %s is a job or a refusal, and nothing breaks', (member) => {
    for (const value of [undefined, null, '', 'NULL', 42, -1, true, [], {}, '\u0000', 'x'.repeat(100_000)]) {
      const read = readJob({ ...DESCRIPTION, [member]: value });
      expect(['job', 'refused']).toContain(read.kind);
    }
  });

  it.each([
    [undefined],
    [null],
    [[]],
    ['text'],
    [{}],
    [{ ...DESCRIPTION, PandaID: 'x' }],
    [{ ...DESCRIPTION, attemptNr: -1 }],
    [{ ...DESCRIPTION, jobPars: 'x'.repeat(70_000) }],
    [{ ...DESCRIPTION, logFile: 'elsewhere' }],
    [{ ...DESCRIPTION, scopeOut: 'a,b,c,d' }],
    [{ ...DESCRIPTION, inFiles: 'a', fsize: '1,2,3' }],
    [{ ...DESCRIPTION, outFiles: Array.from({ length: 100 }, (_, at) => `f${at}`).join(',') }],
  ])('is refused where it is %j', (value) => {
    expect(readJob(value).kind).toBe('refused');
  });
});
