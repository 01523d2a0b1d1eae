import { describe, expect, it } from 'vitest';
import schema from '../../../cli/campaign/campaign.schema.json' with { type: 'json' };
import { loadCampaign } from '../../../cli/campaign/load.ts';
import { checkText, inCampaignFolder } from './campaign-folder.ts';

interface Wrong {
  /** Lines after `name: n` (line 1) and `command: node` (line 2). */
  readonly text: string;
  readonly line: number;
  readonly column: number;
  readonly field: string;
  readonly says: RegExp;
}

const wrong = (field: string, text: string, line: number, column: number, says: RegExp): Wrong => ({
  text,
  line,
  column,
  field,
  says,
});

/** At least one mistake for every field of the schema; a test below holds the table to the schema. */
const table: readonly Wrong[] = [
  wrong('queue', 'queue: Main Queue', 3, 8, /"Main Queue".*for example main/),
  wrong('queue', 'queue: [main]', 3, 8, /is a list/),
  wrong('priority', 'priority: high', 3, 11, /is a string; write a whole number/),
  wrong('priority', 'priority: 1001', 3, 11, /too large/),
  wrong('priority', 'priority: -1001', 3, 11, /too small/),
  wrong('priority', 'priority: 1.5', 3, 11, /whole number/),
  wrong('retries', 'retries: -1', 3, 10, /too small/),
  wrong('retries', 'retries: 101', 3, 10, /too large/),
  wrong('arguments', 'arguments: --seed 1', 3, 12, /is a string; write a list/),
  wrong('arguments[1]', 'arguments: [a, [b]]', 3, 16, /is a list; write text/),
  wrong('arguments[0]', 'arguments: ["${seed"]', 3, 13, /must be followed by a name/),
  wrong('arguments[0]', 'arguments: ["${sed}"]\nparameters: {seed: 1..2}', 3, 13, /did you mean \$\{seed\}/),
  wrong('arguments[0]', 'arguments: ["${other}"]', 3, 13, /names no parameter; add it/),
  wrong('arguments[0]', 'arguments: ["a\\0b"]', 3, 13, /not in the right form/),
  wrong('arguments[1]', `arguments: [a, "${'x'.repeat(4097)}"]`, 3, 16, /too long/),
  wrong('arguments', `arguments: [${'a,'.repeat(257)}]`, 3, 12, /too many/),
  wrong('environment', 'environment: [A]', 3, 14, /is a list; write names with values/),
  wrong('environment.1A', 'environment:\n  1A: x', 4, 3, /the name "1A" is not a name of letters/),
  wrong('environment.A', 'environment:\n  A: {}', 4, 6, /is a mapping; write text/),
  wrong('environment.A', 'environment:\n  A: "${x}"', 4, 6, /names no parameter/),
  wrong('inputs', 'inputs: program.mjs', 3, 9, /is a string; write a list of files/),
  wrong('inputs[0]', 'inputs: [missing.mjs]', 3, 10, /there is no file ".*missing.mjs"/),
  wrong('inputs[0]', 'inputs: [.]', 3, 10, /is no file/),
  wrong('inputs[0]', 'inputs: [card.txt/x]', 3, 10, /there is no file/),
  wrong('inputs[0]', 'inputs: ["${x}.txt"]\nparameters: {x: 1}', 3, 10, /not filled in here/),
  wrong('inputs[1]', 'inputs: [card.txt, 5]', 3, 20, /is a number; write a path/),
  wrong('inputs[0].nmae', 'inputs:\n  - nmae: x\n    path: card.txt', 4, 5, /did you mean name/),
  wrong('inputs[0]', 'inputs:\n  - name: x', 4, 5, /either path or content/),
  wrong('inputs[0]', 'inputs:\n  - {path: card.txt, content: x}', 4, 5, /either path or content/),
  wrong('inputs[0]', 'inputs:\n  - content: x', 4, 5, /content needs a name/),
  wrong('inputs[0].path', 'inputs:\n  - path: other.txt', 4, 11, /there is no file/),
  wrong('inputs[0].path', 'inputs:\n  - path: 7', 4, 11, /is a number/),
  wrong('inputs[0].name', 'inputs:\n  - {name: "", path: card.txt}', 4, 12, /empty/),
  wrong('inputs[0].name', 'inputs:\n  - {name: "${x}", path: card.txt}', 4, 12, /names no parameter/),
  wrong('inputs[0].content', 'inputs:\n  - {name: a, content: 5}', 4, 24, /is a number/),
  wrong('inputs[0].content', 'inputs:\n  - {name: a, content: "${x}"}', 4, 24, /names no parameter/),
  wrong('inputs[0].executable', 'inputs:\n  - {path: card.txt, executable: maybe}', 4, 34, /true or false/),
  wrong('inputs.a', 'inputs:\n  a: missing', 4, 6, /there is no file/),
  wrong('inputs.a.paht', 'inputs:\n  a: {paht: card.txt}', 4, 7, /did you mean path/),
  wrong('inputs[0]', 'inputs:\n  - {name: ../x, path: card.txt}', 4, 5, /is no file name/),
  wrong(
    'inputs[1]',
    'inputs: [card.txt, {name: CARD.TXT, path: card.txt}]',
    3,
    20,
    /cannot lie in one directory/,
  ),
  wrong('inputs', `inputs: [${'card.txt,'.repeat(17)}]`, 3, 9, /too many/),
  wrong('outputs', 'outputs: result.txt', 3, 10, /is a string; write a list/),
  wrong('outputs[0]', 'outputs: [/etc/passwd]', 3, 11, /is no file name/),
  wrong('outputs[0]', 'outputs: [a/../b]', 3, 11, /is no file name/),
  wrong('outputs[0]', 'outputs: [.hidden]', 3, 11, /no part starts with a dot/),
  wrong('outputs[0]', 'outputs: ["${x}"]', 3, 11, /names no parameter/),
  wrong('outputs[0]', 'outputs: ["${x}"]\nparameters: {x: ["a b"]}', 3, 11, /"a b" is no file name/),
  wrong('outputs[1]', 'outputs: [a, a/b]', 3, 14, /cannot lie in one directory/),
  wrong('outputs[1]', 'outputs: [a, A]', 3, 14, /cannot lie in one directory/),
  wrong('outputs[0]', `outputs: [${'a'.repeat(129)}]`, 3, 11, /over 128/),
  wrong('outputs[0].name', 'outputs:\n  - optional: true', 4, 5, /is missing/),
  wrong('outputs[0].optional', 'outputs:\n  - {name: a, optional: 1}', 4, 25, /true or false/),
  wrong('outputs[0].maximum', 'outputs:\n  - {name: a, maximum: 10MB}', 4, 24, /KiB, MiB, GiB or TiB/),
  wrong('outputs[0].maximum', 'outputs:\n  - {name: a, maximum: 9999TiB}', 4, 24, /over 1024GiB/),
  wrong('outputs[0].size', 'outputs:\n  - {name: a, size: 1}', 4, 15, /known are name, optional, maximum/),
  wrong('limits', 'limits: 10m', 3, 9, /is a string; write a mapping/),
  wrong('limits.wall', 'limits: {wall: 600}', 3, 16, /is a number; write a duration/),
  wrong('limits.wall', 'limits: {wall: 10 min}', 3, 16, /for example 10m/),
  wrong('limits.wall', 'limits: {wall: 0s}', 3, 16, /out of bounds; write 1s to 30d/),
  wrong('limits.wall', 'limits: {wall: 31d}', 3, 16, /out of bounds/),
  wrong('limits.cpu', 'limits: {cpu: 361d}', 3, 15, /out of bounds/),
  wrong('limits.memory', 'limits: {memory: 512MB}', 3, 18, /for example 512MiB/),
  wrong('limits.memory', 'limits: {memory: 1MiB}', 3, 18, /out of bounds; write 16MiB/),
  wrong('limits.disk', 'limits: {disk: 17TiB}', 3, 16, /out of bounds/),
  wrong('limits.processes', 'limits: {processes: 0}', 3, 21, /too small/),
  wrong('limits.time', 'limits: {time: 1h}', 3, 10, /no key "time"/),
  wrong('requirements', 'requirements: MemoryMiB >=', 3, 15, /is no ClassAd expression/),
  wrong('requirements', 'requirements: 5', 3, 15, /is a number/),
  wrong(
    'requirements',
    `requirements: "${'('.repeat(100)}1${')'.repeat(100)}"`,
    3,
    15,
    /is no ClassAd expression/,
  ),
  wrong('parameters', 'parameters: 1..40', 3, 13, /is a string; write names with values/),
  wrong('parameters.seed', 'parameters: {seed: 40..1}', 3, 20, /empty; write 1..40/),
  wrong('parameters.seed', 'parameters: {seed: 1...40}', 3, 20, /no range/),
  wrong('parameters.seed', 'parameters: {seed: 0..100000}', 3, 20, /more than 100000 values/),
  wrong('parameters.seed', 'parameters: {seed: []}', 3, 20, /an empty list/),
  wrong('parameters.seed[1]', 'parameters: {seed: [1, {}]}', 3, 24, /is a mapping/),
  wrong('parameters.a-b', 'parameters: {a-b: 1}', 3, 14, /the name "a-b"/),
  wrong('parameters', 'parameters: {a: 1..1000, b: 1..101}', 3, 13, /more than 100000 jobs/),
  wrong('argments', 'argments: [a]', 3, 1, /did you mean arguments/),
  wrong('__proto__', '__proto__: {polluted: true}', 3, 1, /no key/),
];

describe('a job description wrong in each field', () => {
  it.each(table)('$field: $text', async ({ text, line, column, field, says }) => {
    const checked = await checkText(`name: n\ncommand: node\n${text}\n`);
    if (checked.kind === 'campaign') throw new Error('was taken');
    expect(checked.problems).toHaveLength(1);
    expect(checked.problems[0]).toMatchObject({ line, column, field, message: expect.stringMatching(says) });
  });

  it('has a row for every field of the schema', () => {
    const heads = new Set(table.map(({ field }) => field.split(/[.[]/)[0]));
    const elsewhere = ['name', 'command'];
    const fields = Object.keys(schema.properties).filter((field) => !elsewhere.includes(field));
    expect(fields.filter((field) => !heads.has(field))).toEqual([]);
  });

  it.each([
    ['name: N\ncommand: node', 1, 7, 'name', /"N".*lower-case/],
    ['name: 5\ncommand: node', 1, 7, 'name', /is a number/],
    ['command: node', 1, 1, 'name', /is missing; add for example name: z-resonance/],
    ['name: n', 1, 1, 'command', /is missing; add for example command: node/],
    ['name: n\ncommand: [node]', 2, 10, 'command', /is a list/],
    ['name: n\ncommand: ""', 2, 10, 'command', /not in the right form|empty/],
    ['name: n\ncommand: ./absent.mjs', 2, 10, 'command', /no input is named "absent.mjs"/],
    ['name: n\ncommand: "${x}"\nparameters: {x: a}', 2, 10, 'command', /not filled in here/],
  ])('name and command: %s', async (text, line, column, field, says) => {
    const checked = await checkText(text);
    if (checked.kind === 'campaign') throw new Error('was taken');
    expect(checked.problems).toContainEqual({ line, column, field, message: expect.stringMatching(says) });
  });

  it('tells all mistakes at once, in the order of the file, with the code INVALID_CAMPAIGN', async () => {
    const text = [
      'name: N',
      'command: node',
      'arguments: ["${sed}"]',
      'inputs: [missing]',
      'limits: {wall: 5}',
      'requirements: "1 +"',
      'parameters: {seed: 3..1}',
    ].join('\n');
    const error = await inCampaignFolder(text, (path) =>
      loadCampaign(path).catch((caught: unknown) => caught),
    );
    expect(error).toMatchObject({ code: 'INVALID_CAMPAIGN' });
    const lines = (error as Error).message.split('\n');
    expect(lines.map((line) => line.replace(/^.*campaign\.yaml:(\d+:\d+: [a-z[\]0-9.]+):.*$/, '$1'))).toEqual(
      [
        '1:7: name',
        '3:13: arguments[0]',
        '4:10: inputs[0]',
        '5:16: limits.wall',
        '6:15: requirements',
        '7:20: parameters.seed',
      ],
    );
  });
});

describe('a campaign file that attacks its reader', () => {
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x]',
    'b: &b [*a,*a,*a,*a,*a,*a,*a,*a]',
    'c: &c [*b,*b,*b,*b,*b,*b,*b]',
  ].join('\n');
  it.each<[string, string | Uint8Array, RegExp]>([
    ['aliases that multiply', bomb, /aliases|anchors/],
    ['an anchor', 'name: &n n\ncommand: node', /anchors/],
    ['a merge key', 'name: n\ncommand: node\nlimits: {<<: {wall: 1m}}', /no key "<<"/],
    ['a tag', 'name: !!js/function "x"\ncommand: node', /tags|not valid YAML/],
    ['a local tag', 'name: !include /etc/passwd\ncommand: node', /tags|not valid YAML/],
    [
      'deep nesting',
      `name: n\ncommand: node\narguments: ${'['.repeat(5_000)}`,
      /nested too deeply|not valid YAML/,
    ],
    ['deep nesting that ends the parser', '['.repeat(200_000), /nested too deeply|not valid YAML/],
    [
      'nesting over the bound',
      `name: n\ncommand: node\narguments: ${'['.repeat(12)}${']'.repeat(12)}`,
      /nested too deeply/,
    ],
    ['two documents', 'name: n\ncommand: node\n---\nname: m\ncommand: node', /several documents/],
    ['a key twice', 'name: n\ncommand: node\nname: m', /not valid YAML/],
    [
      'braces without quotes',
      'name: n\ncommand: node\narguments: [--x=${x}]',
      /put texts with \$\{name\} in quotes/,
    ],
    ['no YAML', 'name: "n\ncommand: node', /not valid YAML/],
    ['nothing', '', /is empty/],
    ['a list', '[1, 2]', /is a list; write campaign file/],
    ['too much', 'x'.repeat(256 * 1024 + 1), /over 262144 bytes/],
    ['no text', new Uint8Array([0xff, 0xfe, 0xfd]), /not UTF-8/],
  ])('%s', async (_, text, says) => {
    const checked = await checkText(text);
    if (checked.kind === 'campaign') throw new Error('was taken');
    expect(checked.problems.map(({ message }) => message).join('\n')).toMatch(says);
    expect(checked.problems.length).toBeLessThanOrEqual(50);
  });

  it('names a file that is not there', async () => {
    await expect(loadCampaign('/nowhere/campaign.yaml')).rejects.toMatchObject({
      code: 'INVALID_CAMPAIGN',
      message: '/nowhere/campaign.yaml:1:1: the file is not there',
    });
  });

  it('shows nothing that a terminal would act on', async () => {
    const checked = await checkText('name: "\\e[2J\\u0085\\u200b"\ncommand: node');
    if (checked.kind === 'campaign') throw new Error('was taken');
    for (const { message } of checked.problems) expect(message).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  });
});
