import { describe, expect, it } from 'vitest';
import { adler32, adler32Hex } from '../../../protocol/adler32.ts';
import { decodeState, encodeState, type JobState } from '../../../adapters/jobs/panda/job-state.ts';
import { guidOf, outputReport } from '../../../adapters/jobs/panda/output-report.ts';
import { rucioPath } from '../../../adapters/jobs/panda/rucio-path.ts';

const OUTPUT = 'user.cp.0001.out.txt';
const LOG = 'user.cp.0001.log.tgz';
const LOG_GUID = '6cd7f2a0-0f7e-4a39-bb0b-1a3c9a7b0001';
const STATE: JobState = {
  id: 4001,
  attempt: 1,
  site: 'CP_TEST',
  task: 77,
  jobset: 88,
  takesEvents: false,
  members: undefined,
  outputs: [
    { lfn: OUTPUT, scope: 'user.cp', endpoint: 'CP_DISK', isOptional: false, guid: undefined },
    { lfn: LOG, scope: 'user.cp', endpoint: 'CP_DISK', isOptional: false, guid: LOG_GUID },
  ],
};
const STORED = [
  { name: OUTPUT, size: 6, adler32: '079a01d2' },
  { name: LOG, size: 15_009, adler32: '77fd3570' },
];
const PLACE = { endpoint: undefined, surl: undefined };
const RESULT = { job: 'a'.repeat(26), attempt: 3 };

describe('an output report', () => {
  it('has the members of the captured one, and the sums of our storage', () => {
    const report = outputReport(STATE, STORED, { ...PLACE, surl: 'davs://se/rucio/{path}' }, RESULT);
    const said: unknown = JSON.parse(report.kind === 'report' ? report.text : '');
    expect(said).toEqual({
      [OUTPUT]: {
        guid: guidOf(4001, 1, OUTPUT),
        fsize: 6,
        adler32: '079a01d2',
        surl: `davs://se/rucio/user/cp/de/bd/${OUTPUT}`,
        endpoint: 'CP_DISK',
      },
      [LOG]: {
        guid: LOG_GUID,
        fsize: 15_009,
        adler32: '77fd3570',
        surl: `davs://se/rucio/user/cp/a9/18/${LOG}`,
        endpoint: 'CP_DISK',
      },
    });
  });

  it('is the same whenever it is made, with GUIDs of their own for each file and attempt', () => {
    expect(outputReport(STATE, STORED, PLACE, RESULT)).toEqual(outputReport(STATE, STORED, PLACE, RESULT));
    const guids = [guidOf(1, 1, 'a'), guidOf(1, 2, 'a'), guidOf(2, 1, 'a'), guidOf(1, 1, 'b')];
    expect(new Set(guids).size).toBe(4);
    for (const guid of guids)
      expect(guid).toMatch(/^[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/u);
  });

  it('names the storage element that a site says, and any address it says', () => {
    const report = outputReport(
      STATE,
      STORED,
      { endpoint: 'OURS', surl: 'https://b/{job}/{attempt}/{name}' },
      RESULT,
    );
    expect(report).toMatchObject({ kind: 'report', text: expect.stringContaining('"endpoint":"OURS"') });
    expect(report).toMatchObject({
      text: expect.stringContaining(`https://b/${'a'.repeat(26)}/3/${OUTPUT}`),
    });
  });

  it('is none where a file is missing or empty, but for one that may be', () => {
    expect(outputReport(STATE, STORED.slice(1), PLACE, RESULT)).toEqual({ kind: 'missing', lfn: OUTPUT });
    const empty = [{ name: OUTPUT, size: 0, adler32: '00000001' }, ...STORED.slice(1)];
    expect(outputReport(STATE, empty, PLACE, RESULT)).toEqual({ kind: 'empty', lfn: OUTPUT });
    const optional = { ...STATE, outputs: STATE.outputs.map((output) => ({ ...output, isOptional: true })) };
    expect(outputReport(optional, STORED.slice(1), PLACE, RESULT).kind).toBe('report');
  });

  it('asks for the setting where storage computes no Adler-32', () => {
    expect(() => outputReport(STATE, [{ name: OUTPUT, size: 6 }], PLACE, RESULT)).toThrow(
      expect.objectContaining({
        code: 'INVALID_CONFIGURATION',
        message: expect.stringContaining('bridge.digests'),
      }),
    );
  });

  it('has paths as captured of a pilot', () => {
    expect(rucioPath('user.cp', OUTPUT)).toBe(`user/cp/de/bd/${OUTPUT}`);
  });

  it('has sums as captured of a pilot', () => {
    expect(adler32Hex(adler32(Buffer.from('hello\n')))).toBe('084b021f');
    expect(adler32Hex(adler32(new Uint8Array()))).toBe('00000001');
    expect(adler32Hex(adler32(Buffer.alloc(1_000_000, 0xff)))).toMatch(/^[0-9a-f]{8}$/u);
  });
});

describe('the state that travels with a job', () => {
  it('comes back as it went', () => {
    const text = encodeState(STATE);
    expect(decodeState(text ?? '')).toEqual(JSON.parse(JSON.stringify(STATE)));
  });

  it("is none where it is another adapter's, or cut, or a bomb", () => {
    const bomb = encodeState({ ...STATE, members: { jobPars: 'x'.repeat(1_000_000) } }) ?? '';
    for (const text of ['', 'x', '{}', (encodeState(STATE) ?? '').slice(0, 40), bomb])
      expect(decodeState(text)).toBeUndefined();
  });

  it('does not fit where a description is too long', () => {
    const noise = Array.from({ length: 3000 }, (_, at) =>
      ((at * 2_654_435_761) % 4_294_967_296).toString(36),
    ).join('');
    expect(encodeState({ ...STATE, members: { jobPars: noise } })).toBeUndefined();
  });
});
