import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { describeJob } from '../../../adapters/jobs/alien/describe-job.ts';
import { hostAd, type HostClass } from '../../../adapters/jobs/alien/host-ad.ts';
import { JDL_TABLE } from '../../../adapters/jobs/alien/jdl-table.ts';
import { matchesPattern } from '../../../adapters/jobs/alien/store-outputs.ts';

const hosts: HostClass = {
  host: 'copilot.example.org',
  ce: 'ALICE::VOLUNTEER::COPILOT',
  closeSe: ['ALICE::NIHAM::FILE'],
  partitions: ['volunteer'],
  packages: ['VO_ALICE@ROOT::v5'],
  installed: ['VO_ALICE@ROOT::v5'],
  ttlSeconds: 43_200,
  price: 1,
  disk: 20_000,
  memory: 2048,
  cores: 4,
  platform: 'Linux-x86_64',
};
const job = { id: '77', token: 't'.repeat(32), user: 'vol', ce: hosts.ce };

const WHOLE = `
Executable = "/alice/cern.ch/user/v/vol/bin/sim.sh";
Arguments = {"--run 5", "last"};
ValidationCommand = "check.sh";
InputFile = {"LF:/alice/cern.ch/user/v/vol/sim.C"};
InputData = {"LF:/alice/data/1.root,nodownload", "LF:/alice/data/2.root"};
InputDataList = "wn.xml";
OutputDir = "/alice/cern.ch/user/v/vol/out/007";
OutputArchive = {"root.zip:*.root@disk=2,no_links_registration"};
OutputErrorE = {"err.zip:stdout"};
TTL = "2 hours";
MemorySize = "1GB";
WorkDirectorySize = {"10000MB"};
CPUCores = "2";
Packages = {"VO_ALICE@ROOT::v5"};
JDLVariables = {"Packages", "OutputDir"};
MasterJobID = 12;
User = "vol";
Requirements = ( other.Type == "machine" ) && ( member(other.Packages, "VO_ALICE@ROOT::v5") ) && ( other.TTL > 7200 ) && ( other.Price <= 1 );
`;

describe('from AliEn’s description to ours', () => {
  it('does what the table says', () => {
    const described = describeJob(WHOLE, job, hosts, 'other.Site == "home"');
    expect(described).toEqual({
      inputs: [
        { lfns: ['/alice/cern.ch/user/v/vol/bin/sim.sh'], name: 'sim.sh', isExecutable: true },
        expect.objectContaining({ name: 'check.sh', isExecutable: true }),
        { lfns: ['/alice/cern.ch/user/v/vol/sim.C'], name: 'sim.C', isExecutable: false },
        { lfns: ['/alice/data/2.root'], name: '2.root', isExecutable: false },
      ],
      texts: [{ name: 'wn.xml', text: expect.stringContaining('lfn="/alice/data/1.root"') }],
      executable: 'sim.sh',
      validation: 'check.sh',
      arguments: ['--run', '5', 'last'],
      environment: {
        ALIEN_PROC_ID: '77',
        ALIEN_USER: 'vol',
        ALIEN_PACKAGES: 'VO_ALICE@ROOT::v5',
        ALIEN_MASTERJOBID: '12',
        ALIEN_JDL_PACKAGES: 'VO_ALICE@ROOT::v5',
        ALIEN_JDL_OUTPUTDIR: '/alice/cern.ch/user/v/vol/out/007',
      },
      outputs: {
        directory: '/alice/cern.ch/user/v/vol/out/007',
        outputs: [{ a: 'root.zip', p: ['*.root'], s: 'disk:2', n: true }],
        onError: [{ a: 'err.zip', p: ['stdout'], s: 'disk:2' }],
      },
      limits: { wallSeconds: 7800, memoryMiB: 1024, diskMiB: 10_000 },
      requirements: '(other.Site == "home") && (other.Cpus >= 2)',
      master: '12',
    });
  });

  it('fills in what is missing', () => {
    const { limits, outputs, requirements } = describeJob('Executable = "a.sh";', job, hosts, '');
    expect(limits).toEqual({ wallSeconds: 22_200, memoryMiB: 2048, diskMiB: 20_000 });
    expect(outputs.directory).toBe('/alice/cern.ch/user/v/vol/alien-job-77');
    expect(outputs.outputs).toEqual([
      { a: 'jalien_defarchNOSPEC.77', p: ['stdout', 'stderr', 'resources'], s: 'disk:2' },
    ]);
    expect(requirements).toBe('');
  });

  it('is told by the same table in the docs', () => {
    const page = readFileSync(new URL('../../../docs/alien.md', import.meta.url), 'utf8');
    for (const { attribute, ours, otherwise } of JDL_TABLE)
      expect(page).toContain(`| ${attribute} | ${ours} | ${otherwise} |`);
  });

  it.each([
    ['x'.repeat(5000), /environment/],
    ['a\\0'.replace('\\0', '\0'), /environment/],
  ])('refuses a variable that no environment takes', (text, message) => {
    expect(() =>
      describeJob(`Executable = "a.sh"; JDLVariables = {"V"}; V = "${text}";`, job, hosts, ''),
    ).toThrow(message);
  });
});

describe('host ads', () => {
  it('are the same text for the same class, with an attribute a line', () => {
    expect(hostAd(hosts)).toBe(hostAd({ ...hosts }));
    expect(hostAd(hosts)).toContain(
      '\n TTL = 43200;\n Price = 1.0;\n LocalDiskSpace = 20000;\n Memory = 2048;',
    );
    expect(hostAd(hosts)).toMatch(/^\[\n Type = "machine";\n Requirements = other.Type == "Job";\n/);
  });
});

describe('patterns of outputs', () => {
  it.each([
    ['a.root', '*.root', true],
    ['a.root', '*', true],
    ['.hidden', '*', false],
    ['.hidden', '.h*', true],
    ['d/a.root', '*.root', false],
    ['d/a.root', '*/*.root', true],
    ['ab', 'a?', true],
    ['a', 'a?', false],
    ['aXbYc', 'a*b*c', true],
    ['ac', 'a*b*c', false],
    ['abab', '*ab', true],
    ['aba', 'ab*ba', false],
  ])('%s against %s', (name, pattern, matches) => expect(matchesPattern(name, pattern)).toBe(matches));

  it('take no time to speak of, whatever they are', () => {
    const begin = performance.now();
    expect(matchesPattern('a'.repeat(250), `${'a*'.repeat(120)}b`)).toBe(false);
    expect(performance.now() - begin).toBeLessThan(1000);
  });
});
