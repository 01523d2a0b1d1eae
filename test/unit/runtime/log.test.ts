import { describe, expect, it } from 'vitest';
import { CoPilotError } from '../../../protocol/errors.ts';
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
});
