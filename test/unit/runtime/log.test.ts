import { describe, expect, it } from 'vitest';
import { CoPilotError } from '../../../protocol/errors.ts';
import { logText } from '../../../protocol/runtime/log-text.ts';
import { createLog } from '../../../protocol/runtime/log.ts';

const CANARY = 'canary-3f9a';

function capture(level: 'debug' | 'info' | 'warn' = 'debug') {
  const lines: string[] = [];
  return {
    lines,
    log: createLog('broker', { level, destination: { write: (line) => void lines.push(line) } }),
  };
}

describe('log', () => {
  it('writes one line of JSON with level, component and fields', () => {
    const { lines, log } = capture();
    log.warn({ attempt: 3 }, 'lease ended');
    expect(JSON.parse(lines[0]!)).toMatchObject({
      level: 'warn',
      component: 'broker',
      attempt: 3,
      msg: 'lease ended',
    });
  });

  it('leaves out what is below its level', () => {
    const { lines, log } = capture('warn');
    log.info({}, 'quiet');
    expect(lines).toEqual([]);
  });

  it.each([
    'token',
    'code',
    'secret',
    'authorization',
    'Authorization',
    'key',
    'password',
    'accessToken',
    'client_secret',
    'signingPrivateKey',
  ])('never shows %s, at any depth', (name) => {
    const { lines, log } = capture();
    log.error({ [name]: CANARY, deep: { list: [{ [name]: { inner: CANARY } }] } }, 'refused');
    expect(lines.join('')).not.toContain(CANARY);
    expect(lines.join('')).toContain('[redacted]');
  });

  it('shows of bytes only their length, and of deep or long values a bounded part', () => {
    const { lines, log } = capture();
    let deep: object = { bottom: CANARY };
    for (let level = 0; level < 20; level++) deep = { deep };
    log.info(
      { frame: new TextEncoder().encode(CANARY), deep, many: Array.from({ length: 1000 }, () => 'x') },
      'frame',
    );
    const line = JSON.parse(lines[0]!);
    expect(lines[0]).not.toContain(CANARY);
    expect(line.frame).toBe('[11 bytes]');
    expect(line.many).toHaveLength(64);
  });

  it('keeps an error’s stable code and its cause', () => {
    const { lines, log } = capture();
    log.error(
      { error: new CoPilotError('LEDGER_FULL', 'disk full', { cause: new Error('ENOSPC') }) },
      'commit failed',
    );
    log.error(new CoPilotError('TIMEOUT', 'late'), 'directly');
    expect(JSON.parse(lines[0]!).error).toMatchObject({
      errorCode: 'LEDGER_FULL',
      message: 'disk full',
      cause: { message: 'ENOSPC' },
    });
    expect(JSON.parse(lines[1]!).error).toMatchObject({ errorCode: 'TIMEOUT' });
  });

  it('shows an owner as a pseudonym: the same in all programs of an installation, another in every other', () => {
    const shown = (options: object): string => {
      const lines: string[] = [];
      const destination = { write: (line: string) => void lines.push(line) };
      createLog('x', { level: 'info', destination, ...options }).info(
        { owner: 'jane.doe', deep: { owner: 'jane.doe' } },
        'x',
      );
      const { owner, deep } = JSON.parse(lines[0]!);
      expect(deep.owner).toBe(owner);
      return owner;
    };
    const one = shown({ pseudonymKey: 'b25l' });
    expect(one).toMatch(/^owner-[0-9a-f]{10}$/);
    expect(shown({ pseudonymKey: 'b25l' })).toBe(one);
    expect(shown({ pseudonymKey: 'dHdv' })).not.toBe(one);
    expect(shown({})).not.toBe(shown({}));
    expect(shown({ owners: true })).toBe('jane.doe');
  });

  it('what others wrote forges no line and moves no cursor', () => {
    const { lines, log } = capture();
    const hostile = 'a\n{"level":"info","msg":"forged"}\r\u001b[2J\u009b31m\u2028\u202egnp.exe\u007f';
    log.warn({ reason: hostile, list: [hostile], error: new Error(hostile) }, 'an attempt ended');
    expect(lines).toHaveLength(1);
    expect(lines[0]!.indexOf('\n')).toBe(lines[0]!.length - 1);
    expect(lines[0]!.trimEnd()).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/);
    expect(JSON.parse(lines[0]!).reason).toContain('forged');
  });
});

describe('log as text', () => {
  const lines: string[] = [];
  const log = createLog('broker', {
    level: 'info',
    format: 'text',
    destination: { write: (line) => void lines.push(line) },
  });

  it('is one line for people, with the same fields, redacted alike', () => {
    lines.splice(0);
    log.info({ job: 'abc', attempt: 3, owner: 'ann', token: CANARY, reason: 'two words' }, 'lease ended');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z INFO {2}broker: lease ended job=abc attempt=3 owner=owner-\w+ token="\[redacted\]" reason="two words"\n$/,
    );
    expect(lines[0]).not.toContain(CANARY);
  });

  it('lets no text of others forge a line, a field or a movement of the cursor', () => {
    lines.splice(0);
    log.warn({ reason: 'x\n2031-01-01T00:00:00.000Z INFO  broker: all is well' }, 'a job failed');
    log.warn({ reason: 'x attempt=7', name: 'a="b"', turn: '\u001b[2J\u202e' }, 'a job failed');
    expect(lines.map((line) => line.split('\n').length)).toEqual([2, 2]);
    expect(lines[1]).toContain('reason="x attempt=7" name="a=\\"b\\""');
    expect(lines[1]).not.toMatch(/[\u001b\u202e]/);
    expect(logText('no line of ours')).toBe('no line of ours');
  });
});
