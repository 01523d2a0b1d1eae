import { describe, expect, it } from 'vitest';
import {
  isConnectionLost,
  isInTheWay,
  isRefusal,
  PostgresFault,
  postgresError,
} from '../../../broker/ledger/postgres-errors.ts';
import { placeText } from '../../../broker/ledger/postgres-place.ts';

const PLACE = 'db.example.org/ledger';
const ofServer = (code: string) =>
  Object.assign(new Error('as the server says'), { code, severity: 'FEHLER' });
const ofSocket = (code: string) =>
  Object.assign(new Error('as the system says'), { code, syscall: 'connect' });

describe('a fault of the database', () => {
  it.each<[string, unknown, string, RegExp]>([
    ['disk full', ofServer('53100'), 'LEDGER_FULL', /free some/],
    ['too many connections', ofServer('53300'), 'LEDGER_UNAVAILABLE', /look at the database/],
    ['the server ends', ofServer('57P01'), 'LEDGER_UNAVAILABLE', /look at the database/],
    ['a lock that does not come', ofServer('55P03'), 'LEDGER_UNAVAILABLE', /look at the database/],
    ['a read-only server', ofServer('25006'), 'LEDGER_UNAVAILABLE', /look at the database/],
    ['a wrong password', ofServer('28P01'), 'INVALID_CONFIGURATION', /as it is configured/],
    ['no such database', ofServer('3D000'), 'INVALID_CONFIGURATION', /as it is configured/],
    ['no right to its tables', ofServer('42501'), 'INVALID_CONFIGURATION', /as it is configured/],
    ['damaged pages', ofServer('XX001'), 'LEDGER_CORRUPT', /backup/],
    ['no such column', ofServer('42703'), 'INTERNAL', /of its own/],
    ['nobody listens', ofSocket('ECONNREFUSED'), 'LEDGER_UNAVAILABLE', /look at the database/],
    ['a pipe that broke', ofSocket('EPIPE'), 'LEDGER_UNAVAILABLE', /look at the database/],
    ['the connection goes', new Error('Connection terminated'), 'LEDGER_UNAVAILABLE', /look at the database/],
    ['our own mistake', new TypeError('no such method'), 'INTERNAL', /of its own/],
    ['a taken name', new PostgresFault('LEDGER_IN_USE', 'broker-1'), 'LEDGER_IN_USE', /name of its own/],
    ['a full target', new PostgresFault('CONFLICT', 'rows in job'), 'CONFLICT', /not empty/],
    ['a newer version', new PostgresFault('UNSUPPORTED', 'version 9'), 'UNSUPPORTED', /run the newer one/],
  ])('%s has its code and the next step', (_what, caught, code, step) => {
    expect(postgresError(caught, PLACE)).toMatchObject({
      code,
      cause: caught,
      message: expect.stringMatching(step),
    });
  });

  it('is tried again where others were in the way or the connection went, and not where it says no', () => {
    for (const state of ['40001', '40P01', '23505']) expect(isInTheWay(ofServer(state))).toBe(true);
    for (const state of ['23514', '53100', '57P01']) expect(isInTheWay(ofServer(state))).toBe(false);
    for (const lost of [
      ofServer('57P01'),
      ofServer('25P03'),
      ofSocket('ECONNRESET'),
      new Error('terminated'),
    ])
      expect([isConnectionLost(lost), isRefusal(lost)]).toEqual([true, false]);
    for (const refused of [ofServer('53100'), ofServer('40P01')])
      expect([isConnectionLost(refused), isRefusal(refused)]).toEqual([false, true]);
    for (const ours of [new TypeError('x'), postgresError(new Error('x'), PLACE)])
      expect(isConnectionLost(ours)).toBe(false);
  });
});

describe('the place of a ledger', () => {
  it('is told without user and password', () => {
    expect(placeText({ url: 'postgres://me:canary@db.example.org:5433/ledger?sslmode=verify-full' })).toBe(
      'db.example.org:5433/ledger',
    );
    expect(placeText({ url: 'postgres:///ledger?host=/run/postgresql' })).toBe('on this machine/ledger');
    expect(placeText({ url: 'canary' })).not.toContain('canary');
  });
});
