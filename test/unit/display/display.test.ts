import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDisplay, type DisplayStream } from '../../../cli/display/display.ts';
import { durationText, paceText } from '../../../cli/display/progress.ts';
import { render } from '../../../cli/display/render.ts';
import type { AgentStatus, DisplayState, LostAttempt } from '../../../cli/display/state.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

const ESCAPE = '\u001b';

const lostAttempt: LostAttempt = {
  job: 'z/seed=7',
  attempt: 1,
  reason: 'agent killed',
  lostMs: 12_000,
  leasedAgainAfterMs: 9_800,
};

const agent = (name: string, changes: Partial<AgentStatus> = {}): AgentStatus => ({
  name,
  isolation: 'unshare',
  done: 3,
  activity: { kind: 'running', job: 'z/seed=23', attempt: 2, progress: 0.5 },
  ...changes,
});

const state = (changes: Partial<DisplayState> = {}): DisplayState => ({
  campaign: { name: 'z', total: 40, finished: 20, failed: 0, running: 4, waiting: 16, cancelled: 0 },
  elapsedMs: 30_000,
  agents: [agent('agent-1'), agent('agent-2', { activity: { kind: 'killed' } })],
  lost: [lostAttempt],
  events: [{ id: 1, atMs: 12_000, text: 'agent-2 killed with SIGKILL' }],
  ...changes,
});

interface Recorded extends DisplayStream {
  readonly written: string[];
  writableNeedDrain: boolean;
}

function recorder(terminal: { readonly columns: number; readonly rows: number } | undefined): Recorded {
  const written: string[] = [];
  return {
    written,
    writableNeedDrain: false,
    write: (text) => written.push(text),
    ...(terminal === undefined ? {} : { isTTY: true, ...terminal }),
  };
}

/** What a terminal of unlimited width shows after some output: enough of one for the codes the display uses. */
function screenOf(written: readonly string[]): readonly string[] {
  const rows = [''];
  let row = 0;
  // The display always writes whole lines: what comes first on a row replaces it.
  let fresh = true;
  const codes = /\u001b\[(\??\d*)([A-Za-z])|(\n)|([^\u001b\n]+)/g;
  for (const [, count, code, newline, text] of written.join('').matchAll(codes)) {
    if (newline !== undefined) row++;
    else if (text !== undefined) rows[row] = `${fresh ? '' : rows[row]}${text}`;
    else if (code === 'A') row -= Number(count);
    else if (code === 'K' && fresh) rows[row] = '';
    else if (code === 'J') rows.splice(row, rows.length, '');
    rows[row] ??= '';
    if (newline !== undefined || code === 'A') fresh = true;
    else if (text !== undefined) fresh = false;
  }
  return rows;
}

describe('the screen of a running campaign', () => {
  it('says what a person asks: how far, how fast, who does what, what was lost', () => {
    const text = render(state(), 80, false).join('\n');
    expect(text).toMatch(/20\/40 jobs {3}50%/);
    expect(text).toContain('40.0 jobs/min, about 0:30 left');
    expect(text).toContain('4 running, 16 waiting');
    expect(text).toMatch(/agent-1 +unshare +3 {2}seed=23 +█████░░░░░ {2}50% attempt 2/);
    expect(text).toMatch(/agent-2 .*killed \(SIGKILL\)/);
    expect(text).toMatch(/leased again after {3}9\.8 s {2}seed=7 +attempt 1, agent killed/);
    expect(text).toMatch(/0:12 {2}agent-2 killed with SIGKILL/);
  });

  it('has a bar that fills with finished jobs and shows failed ones', () => {
    const bar = (finished: number, failed: number): readonly number[] => {
      const campaign = {
        name: 'z',
        total: 40,
        finished,
        failed,
        running: 0,
        waiting: 40 - finished - failed,
        cancelled: 0,
      };
      const [line = ''] = render(state({ campaign }), 80, false);
      return ['█', '▒', '░'].map((block) => line.split(block).length - 1);
    };
    const [, , whole = 0] = bar(0, 0);
    expect(bar(20, 0)).toEqual([Math.floor(whole / 2), 0, whole - Math.floor(whole / 2)]);
    expect(bar(40, 0)).toEqual([whole, 0, 0]);
    expect(bar(39, 1)[1]).toBe(1);
    expect(bar(0, 40)).toEqual([0, whole, 0]);
  });

  it('says so when nothing is known or left', () => {
    const idle = { name: 'z', total: 40, finished: 0, failed: 0, running: 0, waiting: 40, cancelled: 0 };
    expect(render(state({ campaign: idle, agents: [] }), 80, false).join('\n')).toMatch(
      /no job finished yet[\s\S]*no agent yet/,
    );
    const over = { ...idle, finished: 38, failed: 1, cancelled: 1, waiting: 0 };
    expect(render(state({ campaign: over }), 80, false).join('\n')).toMatch(
      /all jobs are done, 1 failed, 1 cancelled/,
    );
    const empty = { ...idle, total: 0, waiting: 0 };
    expect(render(state({ campaign: empty }), 80, false)[0]).toContain('100%');
  });

  it('never writes past the edge, whatever the state and the width', () => {
    const text = fc.string({ unit: 'binary', maxLength: 200 });
    const count = fc.nat({ max: 100_000 });
    fc.assert(
      fc.property(
        text,
        text,
        count,
        count,
        fc.integer({ min: 1, max: 200 }),
        (name, job, finished, rest, columns) => {
          const campaign = {
            name,
            total: finished + rest,
            finished,
            failed: 0,
            running: 0,
            waiting: rest,
            cancelled: 0,
          };
          const agents = [agent(name, { activity: { kind: 'running', job, attempt: 1, progress: 0.3 } })];
          const lost = [{ ...lostAttempt, job, reason: name }];
          const lines = render(
            state({ campaign, agents, lost, events: [{ id: 1, atMs: 0, text: name }] }),
            columns,
            false,
          );
          for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
        },
      ),
    );
  });

  it('lets no text from an agent act on the terminal', () => {
    const evil = `x${ESCAPE}[2J${ESCAPE}]0;owned\u0007\r\n\u009b2J\u202egnp.exe`;
    const hostile = state({
      campaign: { ...state().campaign, name: evil },
      agents: [
        agent(evil, {
          isolation: evil,
          activity: { kind: 'running', job: evil, attempt: 1, progress: Number.NaN },
        }),
      ],
      lost: [{ ...lostAttempt, job: evil, reason: evil }],
      events: [{ id: 1, atMs: 0, text: evil }],
    });
    const stream = recorder(undefined);
    const display = createDisplay({ stream, clock: createManualClock(), environment: {} });
    display.update(hostile);
    display.note(evil);
    const plain = [...render(hostile, 120, false), ...stream.written.map((line) => line.slice(0, -1))];
    expect(plain.length).toBeGreaterThan(8);
    for (const line of plain)
      expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
  });

  it('bounds what it shows', () => {
    const many = state({
      agents: Array.from({ length: 1000 }, (_, at) => agent(`agent-${at}`)),
      lost: Array.from({ length: 1000 }, (_, attempt) => ({ ...lostAttempt, attempt })),
      events: Array.from({ length: 1000 }, (_, id) => ({ id, atMs: id, text: `event ${id}` })),
    });
    const lines = render(many, 80, false);
    expect(lines.length).toBeLessThan(40);
    expect(lines.join('\n')).toMatch(/and 984 more[\s\S]*lost attempts: 1000[\s\S]*event 999/);
  });
});

describe('the display on a terminal', () => {
  const terminal = { columns: 80, rows: 40 };

  it('redraws in place, at most five times a second', async () => {
    const clock = createManualClock();
    const stream = recorder(terminal);
    const display = createDisplay({ stream, clock, environment: { NO_COLOR: '1' } });
    for (let step = 0; step < 100; step++) {
      display.update(state({ elapsedMs: 30_000 + step * 10 }));
      await clock.run(10);
    }
    expect(stream.written.length).toBeGreaterThanOrEqual(5);
    expect(stream.written.length).toBeLessThanOrEqual(6);
    display.close();
    expect(screenOf(stream.written).slice(0, -1)).toEqual(render(state({ elapsedMs: 30_990 }), 79, false));
    expect(clock.pending()).toBe(0);
  });

  it('leaves nothing behind when the picture becomes shorter, and notes stay above it', async () => {
    const clock = createManualClock();
    const stream = recorder(terminal);
    const display = createDisplay({ stream, clock, environment: { NO_COLOR: '1' } });
    display.update(state());
    await clock.run(1000);
    display.note('results are in results/z');
    const short = state({ lost: [], events: [], agents: [agent('agent-1')] });
    display.update(short);
    await clock.run(1000);
    display.close();
    expect(screenOf(stream.written).slice(0, -1)).toEqual([
      'results are in results/z',
      ...render(short, 79, false),
    ]);
  });

  it('never draws more lines than the terminal has', async () => {
    const clock = createManualClock();
    const stream = recorder({ columns: 80, rows: 6 });
    const display = createDisplay({ stream, clock, environment: {} });
    display.update(state());
    await clock.run(1);
    expect(stream.written.join('').split('\n').length - 1).toBe(5);
    display.close();
  });

  it('gives the cursor back, once, and does nothing afterwards', () => {
    const clock = createManualClock();
    const stream = recorder(terminal);
    const display = createDisplay({ stream, clock, environment: {} });
    display.update(state());
    display.close();
    display.close();
    const length = stream.written.length;
    display.update(state());
    display.note('late');
    expect(stream.written).toHaveLength(length);
    expect(stream.written.filter((text) => text.includes('[?25h'))).toHaveLength(1);
    expect(clock.pending()).toBe(0);
  });

  it('skips pictures while a slow reader has not taken the last', async () => {
    const clock = createManualClock();
    const stream = recorder(terminal);
    const display = createDisplay({ stream, clock, environment: {} });
    stream.writableNeedDrain = true;
    display.update(state());
    await clock.run(2000);
    expect(stream.written).toEqual([]);
    stream.writableNeedDrain = false;
    await clock.run(200);
    expect(stream.written).toHaveLength(1);
    display.close();
  });

  it.each([
    [{}, true],
    [{ NO_COLOR: '1' }, false],
    [{ NO_COLOR: '' }, true],
  ])('honours NO_COLOR: %o', (environment, coloured) => {
    const stream = recorder(terminal);
    const display = createDisplay({ stream, clock: createManualClock(), environment });
    display.update(state());
    display.close();
    expect(stream.written.join('').includes(`${ESCAPE}[32m`)).toBe(coloured);
  });
});

describe('the display without a terminal', () => {
  const lines = (
    updates: readonly DisplayState[],
    environment = {},
    stream = recorder(undefined),
  ): readonly string[] => {
    const display = createDisplay({ stream, clock: createManualClock(), environment });
    for (const update of updates) display.update(update);
    display.close();
    return stream.written.join('').split('\n').slice(0, -1);
  };

  it('says each change of note once, in plain lines', () => {
    const waiting = { ...lostAttempt, leasedAgainAfterMs: undefined };
    const at = (finished: number): DisplayState['campaign'] => ({
      ...state().campaign,
      finished,
      waiting: 36 - finished,
    });
    const said = lines([
      state({
        campaign: at(0),
        lost: [],
        events: [],
        agents: [agent('agent-1', { activity: { kind: 'starting' } })],
      }),
      state({ campaign: at(0), lost: [], events: [], agents: [agent('agent-1')] }),
      state({ campaign: at(1), lost: [waiting], agents: [agent('agent-1')] }),
      state({ campaign: at(2), lost: [waiting], agents: [agent('agent-1')] }),
      state({ campaign: at(4), agents: [agent('agent-1')] }),
      state({ campaign: at(4), agents: [agent('agent-1')] }),
      state({ campaign: { ...at(5), failed: 1 }, agents: [agent('agent-1')] }),
      state({ campaign: { ...at(39), failed: 1, running: 0, waiting: 0 }, agents: [agent('agent-1')] }),
    ]);
    expect(said).toEqual([
      '0:30 agent-1 is ready (unshare)',
      '0:12 agent-2 killed with SIGKILL',
      '0:30 attempt 1 of job z/seed=7 lost (agent killed); waiting to be leased again',
      '0:30 attempt 1 of job z/seed=7 lost (agent killed); leased again after 9.8 s',
      '0:30 z: 4 of 40 jobs finished, 8.0 jobs/min, about 4:30 left',
      '0:30 1 job failed so far',
      '0:30 z: 39 of 40 jobs finished, 78.0 jobs/min',
    ]);
  });

  it('uses no codes at all, also on a terminal that knows none', () => {
    expect(lines([state()]).join('')).not.toContain(ESCAPE);
    const dumb = recorder({ columns: 80, rows: 24 });
    expect(lines([state()], { TERM: 'dumb' }, dumb).join('')).not.toContain(ESCAPE);
    expect(dumb.written.length).toBeGreaterThan(0);
  });
});

describe('durations and rates', () => {
  it.each([
    [0, '0:00'],
    [-5, '0:00'],
    [7_400, '0:07'],
    [59_900, '1:00'],
    [750_000, '12:30'],
    [3_723_000, '1:02:03'],
  ])('%i ms is %s', (ms, text) => {
    expect(durationText(ms)).toBe(text);
  });

  it('knows no rate before the first job', () => {
    const campaign = { name: 'z', total: 4, finished: 0, failed: 0, running: 4, waiting: 0, cancelled: 0 };
    expect(paceText(campaign, 10_000)).toBe('no job finished yet');
    expect(paceText({ ...campaign, finished: 4, running: 0 }, 10_000)).toBe('24.0 jobs/min');
  });
});
