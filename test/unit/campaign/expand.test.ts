import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newJobFault } from '../../../adapters/jobs/new-job.ts';
import type { Campaign } from '../../../cli/campaign/campaign.ts';
import { expand, uploadsOf } from '../../../cli/campaign/expand.ts';
import { loadCampaign } from '../../../cli/campaign/load.ts';
import { fillTemplate, parseTemplate } from '../../../cli/campaign/template.ts';
import { checkText, inCampaignFolder } from './campaign-folder.ts';

const text = `
name: scan
queue: physics
priority: 5
retries: 1
command: ./program.mjs
arguments: [--seed, "\${seed}", "--energy=\${energy}", --cut, 0.10, --fast, true, "$\${HOME}"]
environment: {SEED: "\${seed}", OMP_NUM_THREADS: 1}
inputs:
  - program.mjs
  - {name: "card-\${seed}.txt", path: card.txt}
  - {name: seed.txt, content: "seed=\${seed}\\n"}
outputs:
  - result-\${seed}.json
  - {name: debug.log, optional: true, maximum: 10MiB}
limits: {wall: 10m, cpu: 1h, memory: 512MiB, disk: 1GiB, processes: 8}
requirements: MemoryMiB >= 512
parameters:
  seed: [1..2, 7]
  energy: [91.0, 91.20]
`;

const load = (source: string): Promise<Campaign> => inCampaignFolder(source, loadCampaign);

describe('a campaign', () => {
  it('becomes one job for every combination, the last parameter changing fastest', async () => {
    const jobs = expand(await load(text));
    expect(jobs.map((job) => job.label)).toEqual([
      'scan/seed=1,energy=91.0',
      'scan/seed=1,energy=91.20',
      'scan/seed=2,energy=91.0',
      'scan/seed=2,energy=91.20',
      'scan/seed=7,energy=91.0',
      'scan/seed=7,energy=91.20',
    ]);
    expect(jobs[1]).toMatchObject({
      priority: 5,
      retries: 1,
      description: {
        command: './program.mjs',
        arguments: ['--seed', '1', '--energy=91.20', '--cut', '0.10', '--fast', 'true', '${HOME}'],
        environment: { SEED: '1', OMP_NUM_THREADS: '1' },
        inputs: [
          { name: 'program.mjs', size: 15, executable: true },
          { name: 'card-1.txt', size: 8 },
          { name: 'seed.txt', size: 7 },
        ],
        outputs: [
          { name: 'result-1.json' },
          { name: 'debug.log', optional: true, maxBytes: 10 * 1024 * 1024 },
        ],
        limits: { wallSeconds: 600, cpuSeconds: 3600, memoryMiB: 512, diskMiB: 1024, processes: 8 },
        requirements: 'MemoryMiB >= 512',
      },
      contents: [{ content: 'seed=1\n' }],
    });
  });

  it('gives jobs that the broker takes as they are', async () => {
    for (const { label, priority, retries, description } of expand(await load(text))) {
      const job = {
        job: 'a'.repeat(26),
        ref: label,
        owner: 'me',
        site: 'local',
        campaign: 'scan',
        priority,
        retries,
        description,
      };
      expect(newJobFault(job)).toBeUndefined();
    }
  });

  it('uploads each content once', async () => {
    const campaign = await load(text);
    const uploads = uploadsOf(campaign, expand(campaign));
    expect(uploads.map(({ kind, size }) => [kind, size])).toEqual([
      ['file', 15],
      ['file', 8],
      ['content', 7],
      ['content', 7],
      ['content', 7],
    ]);
    expect(new Set(uploads.map(({ sha256 }) => sha256)).size).toBe(5);
  });

  it('takes inputs as a mapping, and defaults for all that is left out', async () => {
    const [job, ...others] = expand(
      await load('name: n\ncommand: node\ninputs: {p.mjs: program.mjs, c: {content: hi}}'),
    );
    expect(others).toEqual([]);
    expect(job).toMatchObject({
      label: 'n',
      priority: 0,
      retries: 2,
      description: {
        arguments: [],
        environment: {},
        inputs: [{ name: 'p.mjs' }, { name: 'c', size: 2 }],
        outputs: [],
        limits: { wallSeconds: 3600, memoryMiB: 1024, diskMiB: 1024 },
        requirements: '',
      },
    });
  });

  it('takes 100,000 jobs and no more', async () => {
    expect(expand(await load('name: n\ncommand: node\nparameters: {a: 1..1000, b: 1..100}'))).toHaveLength(
      100_000,
    );
    expect((await checkText('name: n\ncommand: node\nparameters: {a: 1..1000, b: 1..101}')).kind).toBe(
      'problems',
    );
  });

  it('refuses jobs that together would fill the memory', async () => {
    const content = `${'x'.repeat(60_000)}\${a}`;
    const inline = await checkText(
      `name: n\ncommand: node\ninputs: [{name: a, content: "${content}"}]\nparameters: {a: 1..2000}`,
    );
    expect(inline).toMatchObject({
      problems: [{ field: 'inputs', message: expect.stringMatching(/inline content/) }],
    });
    const long = `["${'x'.repeat(4000)}", "${'y'.repeat(4000)}", "\${a}"]`;
    const large = await checkText(`name: n\ncommand: node\narguments: ${long}\nparameters: {a: 1..100000}`);
    expect(large).toMatchObject({ problems: [{ message: expect.stringMatching(/all jobs together/) }] });
  });

  it('refuses a job whose description does not fit a message', async () => {
    const long = `["${'x'.repeat(4000)}", "${'y'.repeat(4000)}", "${'z'.repeat(4000)}", "${'z'.repeat(500)}"]`;
    const checked = await checkText(`name: n\ncommand: node\narguments: ${long}`);
    expect(checked).toMatchObject({ problems: [{ message: expect.stringMatching(/over 12288/) }] });
  });

  it('does not read values as templates', async () => {
    const [job] = expand(
      await load('name: n\ncommand: node\narguments: ["${a}"]\nparameters: {a: "${b}", b: x}'),
    );
    expect(job?.description.arguments).toEqual(['${b}']);
  });

  it('keeps labels to printable characters', async () => {
    const [job] = expand(await load('name: n\ncommand: node\nparameters: {a: "é\\e[2J\\n"}'));
    expect(job?.label).toBe('n/a=??[2J?');
  });
});

describe('a template', () => {
  it('gives back any text that was escaped, whatever the values', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (literal, value) => {
        const result = parseTemplate(`${literal.replaceAll('${', () => '$${')}|\${name}`);
        // A dollar before an escaped place is read as part of another escape; texts that end so are no round trip.
        fc.pre(!literal.includes('$${'));
        if (result.kind === 'fault') throw new Error(result.message);
        expect(fillTemplate(result.template, new Map([['name', value]]))).toBe(`${literal}|${value}`);
      }),
    );
  });
});
