import { describe, expect, it } from 'vitest';
import { newJobFault } from '../../../adapters/jobs/new-job.ts';
import { type JobPlan, mapJob, newJobOf } from '../../../adapters/jobs/panda/job-description.ts';
import type { PandaOptions } from '../../../adapters/jobs/panda/panda-options.ts';
import { jobOf, OPTIONS } from './sample-job.ts';

const MAPPING = { site: 'CP_TEST', queue: 'panda', id: 'a'.repeat(26), retries: 0 };
const STORED = { size: 3, sha256: 'b'.repeat(64) };

function mapped(change: Readonly<Record<string, unknown>> = {}, options: Partial<PandaOptions> = {}) {
  return mapJob(jobOf(change), { ...MAPPING, options: { ...OPTIONS, ...options } });
}

function plan(change: Readonly<Record<string, unknown>> = {}, options: Partial<PandaOptions> = {}): JobPlan {
  const result = mapped(change, options);
  if (result.kind !== 'plan') throw new Error(result.reason);
  return result.plan;
}

describe('a job of PanDA in our words', () => {
  it('runs the transformation under the wrapper that makes its log', () => {
    const { description, inputs, newJob } = plan();
    expect(description).toEqual({
      command: './co-pilot-payload.sh',
      arguments: ['user.cp.0001.log.tgz', './hello.sh', '--n', '1'],
      environment: { PandaID: '4001', PanDA_AttemptNr: '1', PanDA_TaskID: '77', ATHENA_PROC_NUMBER: '2' },
      outputs: [{ name: 'user.cp.0001.out.txt' }, { name: 'user.cp.0001.log.tgz' }],
      limits: { wallSeconds: 3600, cpuSeconds: 3600, memoryMiB: 1000, diskMiB: 500 },
      requirements: 'Cpus >= 2 && MemoryMiB >= 1000 && DiskMiB >= 500',
    });
    expect(inputs.map(({ name, executable }) => [name, executable])).toEqual([
      ['co-pilot-payload.sh', true],
      ['hello.sh', true],
    ]);
    expect(newJob).toMatchObject({
      ref: '4001',
      owner: 'ann-example',
      site: 'cp_test',
      campaign: 'task-77',
      priority: 1000,
    });
  });

  it('is one that the contract takes', () => {
    const one = plan();
    expect(
      newJobFault(
        newJobOf(
          one,
          one.inputs.map(() => STORED),
        ),
      ),
    ).toBeUndefined();
  });

  it('has its inputs where a deterministic storage element keeps them, held against their checksums', () => {
    const { inputs } = plan({
      inFiles: 'user.cp.0001.out.txt.in',
      fsize: '6',
      checksum: 'ad:79A01D2',
      scopeIn: 'user.cp',
      ddmEndPointIn: 'CP_DISK',
    });
    expect(inputs.at(-1)).toMatchObject({
      name: 'user.cp.0001.out.txt.in',
      executable: false,
      source: { kind: 'replica', size: 6, sum: { algorithm: 'adler32', hex: '079a01d2' } },
    });
  });

  it('runs bare where no log is wanted, and in a container where that is configured', () => {
    const bare = plan({ outFiles: '', logFile: '', scopeOut: '', transformation: 'true' });
    expect(bare.description).toMatchObject({ command: 'true', arguments: ['--n', '1'] });
    const container = plan(
      { transformation: 'python3', container_name: 'docker://atlas/base:1' },
      { container: ['apptainer', 'exec'] },
    );
    expect(container.description.arguments.slice(1, 5)).toEqual([
      'apptainer',
      'exec',
      'docker://atlas/base:1',
      'python3',
    ]);
  });

  it('is a pilot where a pilot is to run it: whatever the payload needs, with files that the pilot may leave or not', () => {
    const pilot = plan(
      { swRelease: 'Atlas-25', jobPars: '--a; $b' },
      { mode: 'pilot', pilot: ['panda-pilot', '-q', 'X'] },
    );
    expect(pilot.description).toMatchObject({
      command: 'panda-pilot',
      arguments: ['-q', 'X'],
      pilot: { dialect: 'panda' },
      outputs: [{ optional: true }, { optional: true }],
      requirements: expect.stringMatching(/^HasPilotMode && /u),
    });
    expect(pilot.inputs).toEqual([]);
    expect(newJobFault(newJobOf(pilot, []))).toBeUndefined();
    expect(mapped({}, { mode: 'pilot' })).toMatchObject({
      kind: 'refused',
      reason: expect.stringMatching(/options: pilot/u),
    });
  });

  it('has parts where it is of the event service, and an agent that serves them', () => {
    const { description } = plan({ eventService: 'True', swRelease: 'NULL' }, { takesEvents: true });
    expect(description.parts).toBe(true);
    expect(description.requirements).toMatch(/^HasPilotMode && /u);
    expect(plan({}, { takesEvents: true }).description).not.toHaveProperty('parts');
  });

  it('has limits of ours where PanDA has none', () => {
    const { description } = plan({
      maxWalltime: 'NULL',
      minRamCount: 0,
      maxDiskCount: null,
      maxCpuCount: 0,
      coreCount: 'NULL',
    });
    expect(description.limits).toEqual({ wallSeconds: 86_400, memoryMiB: 2000, diskMiB: 10_000 });
  });

  it.each([
    ['a shell word in jobPars', { jobPars: '--n 1; rm -rf /' }, 1305, /jobPars has ; at 5/u],
    ['a substitution', { jobPars: '$(reboot)' }, 1305, /needs a shell/u],
    [
      'a path in an output',
      { outFiles: '../../etc/passwd,user.cp.0001.log.tgz' },
      1305,
      /has a name that is not taken/u,
    ],
    ['a hidden output', { outFiles: '.bashrc,user.cp.0001.log.tgz' }, 1305, /has a name/u],
    [
      'a path in an input',
      { inFiles: 'a/b', scopeIn: 'x', checksum: 'ad:1', ddmEndPointIn: 'CP_DISK' },
      1305,
      /has a name/u,
    ],
    [
      'a climbing scope',
      { inFiles: 'a', scopeIn: '..', checksum: 'ad:1', ddmEndPointIn: 'CP_DISK' },
      1099,
      /scope/u,
    ],
    [
      'an input without a sum',
      { inFiles: 'a', scopeIn: 'x', checksum: 'NULL', ddmEndPointIn: 'CP_DISK' },
      1099,
      /no checksum/u,
    ],
    [
      'an input from nowhere',
      { inFiles: 'a', scopeIn: 'x', checksum: 'ad:1', ddmEndPointIn: 'constructor' },
      1099,
      /options: inputs/u,
    ],
    [
      'an input too large',
      { inFiles: 'a', fsize: '9999999', scopeIn: 'x', checksum: 'ad:1', ddmEndPointIn: 'CP_DISK' },
      1099,
      /at most/u,
    ],
    [
      'two outputs of a name',
      { outFiles: 'a,a,user.cp.0001.log.tgz', scopeOut: 'x,x', ddmEndPointOut: 'A,A,A' },
      1305,
      /two outputs/u,
    ],
    [
      'an output named as the wrapper',
      { outFiles: 'co-pilot-payload.sh,user.cp.0001.log.tgz' },
      1305,
      /two of its files/u,
    ],
    ['no storage', { ddmEndPointOut: ',', fileDestinationSE: ',' }, 1133, /no storage/u],
    [
      'a transformation from elsewhere',
      { transformation: 'http://evil.example.org/trf/user/x.sh' },
      1149,
      /not fetched from/u,
    ],
    [
      'a transformation beside the folder',
      { transformation: 'http://127.0.0.1:1/cache/x.sh' },
      1149,
      /not fetched/u,
    ],
    [
      'a transformation above the folder',
      { transformation: 'http://127.0.0.1/trf/../secret' },
      1149,
      /not fetched/u,
    ],
    ['a password in the address', { transformation: 'http://a:b@127.0.0.1/trf/x.sh' }, 1149, /not fetched/u],
    ['a transformation that is a command', { transformation: 'sh -c reboot' }, 1305, /neither a program/u],
    ['an absolute transformation', { transformation: '/bin/sh' }, 1305, /neither a program/u],
    ['a release', { swRelease: 'Atlas-25.2.1' }, 1305, /software release/u],
    ['a container', { container_name: 'docker://x' }, 1305, /options: container/u],
    ['several steps', { preprocess: 'a' }, 1305, /several steps/u],
    ['an event service', { eventService: 'True' }, 1305, /options: eventService/u],
    ['lists in files', { writeToFile: 'tmpin_a:b' }, 1305, /needs the pilot/u],
  ])('is refused for %s, with a reason', (_what, change, code, reason) => {
    const result = mapped(change);
    expect(result).toMatchObject({ kind: 'refused', error: { code }, reason: expect.stringMatching(reason) });
  });

  it.each([['-x'], ['docker://../../etc'], ['a b'], ['a;b']])('is refused for the image %j', (image) => {
    const result = mapped({ container_name: image }, { container: ['apptainer', 'exec'] });
    expect(result).toMatchObject({ kind: 'refused', reason: expect.stringMatching(/no name of an image/u) });
  });

  it('I10 has no secret of PanDA in what is handed over', () => {
    const one = plan();
    expect(JSON.stringify(newJobOf(one, []))).not.toContain('CANARY');
  });

  it('has the same state for the same job, and a name for whoever owns it, whatever PanDA calls them', () => {
    expect(plan().newJob.state).toBe(plan().newJob.state);
    expect(plan({ prodUserID: '???' }).newJob.owner).toBe('panda');
    expect(plan({ prodUserID: 'É'.repeat(300) }).newJob.owner).toMatch(/^[a-z0-9]/u);
  });
});
