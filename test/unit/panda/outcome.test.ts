import { describe, expect, it } from 'vitest';
import type { Exit } from '../../../protocol/generated/types.ts';
import { outcomeOf } from '../../../adapters/jobs/panda/outcome.ts';

const last = (exit: Exit, reason = 'why') => ({ reason, exit });

describe('an outcome in the codes of PanDA', () => {
  it.each<[string, Exit, number, number]>([
    ['payload exit 65, as captured', { kind: 'exited', code: 65 }, 1305, 65],
    ['a result that storage refused', { kind: 'exited', code: 0 }, 1172, 0],
    ['SIGTERM', { kind: 'signalled', signal: 'SIGTERM' }, 1201, 143],
    ['SIGKILL', { kind: 'signalled', signal: 'SIGKILL' }, 1305, 137],
    ['SIGSEGV', { kind: 'signalled', signal: 'SIGSEGV' }, 1305, 139],
    ['wall time', { kind: 'limit', limit: 'wall' }, 1213, 0],
    ['processor time', { kind: 'limit', limit: 'cpu' }, 1213, 0],
    ['memory', { kind: 'limit', limit: 'memory' }, 1212, 0],
    ['disk', { kind: 'limit', limit: 'disk' }, 1098, 0],
    ['files', { kind: 'limit', limit: 'files' }, 1098, 0],
    ['output', { kind: 'limit', limit: 'output' }, 1098, 0],
    ['an input that does not come', { kind: 'failed', reason: 'input a.root: gone' }, 1099, 0],
    ['a missing output', { kind: 'failed', reason: 'output a.txt is missing' }, 1165, 0],
    ['an upload that fails', { kind: 'failed', reason: 'upload of a.txt failed' }, 1137, 0],
    [
      'a job that cannot start',
      { kind: 'failed', reason: 'the job did not start: no such program' },
      1305,
      0,
    ],
  ])('for %s', (_what, exit, pilotErrorCode, transExitCode) => {
    expect(outcomeOf('failed', 'reason', last(exit))).toMatchObject({ pilotErrorCode, transExitCode });
  });

  it('for a lost agent is an error of its own, and for a kill that of a kill', () => {
    expect(outcomeOf('failed', 'the lease ended', undefined)).toEqual({
      pilotErrorCode: 1379,
      pilotErrorDiag: 'Job was preempted: the lease ended',
      transExitCode: 0,
    });
    expect(outcomeOf('cancelled', 'PanDA wants it ended', undefined)).toEqual({
      pilotErrorCode: 1144,
      pilotErrorDiag: 'This job was killed by panda server',
      transExitCode: 0,
    });
  });

  it('has a diagnosis of printable characters, as many as PanDA keeps', () => {
    const { pilotErrorDiag } = outcomeOf(
      'failed',
      `\u0000\n${'é'.repeat(2000)}${'x'.repeat(2000)}`,
      undefined,
    );
    expect(pilotErrorDiag).toMatch(/^[ -~]{1,500}$/u);
  });
});
