import { describe, expect, it } from 'vitest';
import { transcribe } from '../../transcript/one-job.ts';
import { writtenTranscript } from '../../transcript/write.ts';

describe('the transcript of docs/protocol.md', () => {
  it('is what broker and agent say (else run node test/transcript/write.ts)', async () => {
    expect(writtenTranscript()).toBe(`\n${await transcribe()}\n`);
  });

  it('has the agent say who it is, ask, renew, report and ask again', () => {
    const said = [...writtenTranscript().matchAll(/agent to broker\*\*[^{]*\{[^"]*"kind": "([a-z-]+)"/g)];
    expect(said.map(([, kind]) => kind)).toEqual(['agent-hello', 'request', 'renew', 'report', 'request']);
  });
});
