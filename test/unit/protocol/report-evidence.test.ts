import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Exit, Report } from '../../../protocol/generated/types.ts';
import { isReport } from '../../../protocol/generated/validators.js';
import { reportEvidence } from '../../../protocol/report-evidence.ts';
import { examples } from './examples.ts';

type Said = Pick<Report, 'job' | 'attempt' | 'exit' | 'manifest'>;

const report = examples('valid').find(({ name }) => name === 'report/valid-success.json')?.value as Report;
const text = (said: Said, installation = 'example', agent = 'a'.repeat(26)) =>
  Buffer.from(reportEvidence(installation, agent, said)).toString('utf8');

/** What a JSON string is in V-3, written down a second time. */
function quoted(reason: string): string {
  const SHORT: Readonly<Record<string, string>> = {
    '"': '\\"',
    '\\': '\\\\',
    '\b': '\\b',
    '\f': '\\f',
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
  };
  const one = (character: string): string => {
    const short = SHORT[character];
    if (short !== undefined) return short;
    const unit = character.charCodeAt(0);
    const isAlone = character.length === 1 && unit >= 0xd800 && unit <= 0xdfff;
    return unit < 0x20 || isAlone ? `\\u${unit.toString(16).padStart(4, '0')}` : character;
  };
  return `"${Array.from(reason, one).join('')}"`;
}

const nameOf = fc.stringMatching(/^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]{0,8}$/);
const exits: fc.Arbitrary<Exit> = fc.oneof(
  fc.integer({ min: 0, max: 255 }).map((code) => ({ kind: 'exited' as const, code })),
  fc
    .constantFrom('SIGKILL', 'SIGSEGV', 'SIGRTMIN+1')
    .map((signal) => ({ kind: 'signalled' as const, signal })),
  fc.constantFrom('wall' as const, 'memory' as const).map((limit) => ({ kind: 'limit' as const, limit })),
  fc.string({ unit: 'binary', maxLength: 20 }).map((reason) => ({ kind: 'failed' as const, reason })),
);
const files = fc.record({
  name: nameOf,
  size: fc.integer({ min: 0, max: 2 ** 40 }),
  sha256: fc.constantFrom('0'.repeat(64), 'f'.repeat(64)),
});
const said: fc.Arbitrary<Said> = fc.record({
  job: fc.constantFrom('a'.repeat(26), 'b'.repeat(26)),
  attempt: fc.integer({ min: 1, max: 1_000_000 }),
  exit: exits,
  manifest: fc.array(files, { maxLength: 4 }),
});

// proves: V-2
describe('what an agent signs of a report', () => {
  it('is these bytes', () => {
    expect(text(report)).toBe(
      [
        'co-pilot-report-1',
        'example',
        'a'.repeat(26),
        report.job,
        '1',
        'exited\t0',
        `out/events.dat\t20480\t${report.manifest[0]!.sha256}`,
        '',
      ].join('\n'),
    );
  });

  it.each<[Exit, string]>([
    [{ kind: 'exited', code: 137 }, 'exited\t137'],
    [{ kind: 'signalled', signal: 'SIGRTMIN+1' }, 'signalled\tSIGRTMIN+1'],
    [{ kind: 'limit', limit: 'output' }, 'limit\toutput'],
    [{ kind: 'failed', reason: 'a "b"\n€' }, 'failed\t"a \\"b\\"\\n€"'],
  ])('says of %j: %s', (exit, line) => {
    expect(text({ ...report, exit, manifest: [] }).split('\n')).toEqual([
      'co-pilot-report-1',
      'example',
      'a'.repeat(26),
      report.job,
      '1',
      line,
      '',
    ]);
  });

  it('differs wherever two reports do, so that one signature is for one report', () => {
    fc.assert(
      fc.property(said, said, (one, other) => {
        const same = JSON.stringify(one) === JSON.stringify(other);
        expect(text(one) === text(other)).toBe(same);
      }),
      { numRuns: 2000 },
    );
  });

  it('differs for another agent and another installation', () => {
    const seen = [text(report), text(report, 'example', 'b'.repeat(26)), text(report, 'other')];
    expect(new Set(seen).size).toBe(3);
  });

  it('keeps the order of the manifest', () => {
    const [file] = report.manifest;
    const manifest = [
      { ...file!, name: 'b' },
      { ...file!, name: 'a' },
    ];
    expect(text({ ...report, manifest })).not.toBe(text({ ...report, manifest: manifest.toReversed() }));
  });

  it('has as many lines as it says, whatever a valid report holds', () => {
    fc.assert(
      fc.property(said, (given) => {
        fc.pre(isReport({ ...report, ...given }));
        expect(text(given).split('\n')).toHaveLength(7 + given.manifest.length);
      }),
    );
  });
});

// proves: V-3
it('a reason is quoted as the protocol says, control characters and lone surrogates too', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (reason) => {
      const [, , , , , line] = text({ ...report, exit: { kind: 'failed', reason }, manifest: [] }).split(
        '\n',
      );
      expect(line).toBe(Buffer.from(`failed\t${quoted(reason)}`).toString('utf8'));
    }),
  );
  expect(quoted('\u0000\u001f\u007f\ud800/')).toBe('"\\u0000\\u001f\u007f\\ud800/"');
});
