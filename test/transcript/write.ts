import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transcribe } from './one-job.ts';

const BEGIN = '<!-- transcript:begin -->\n';
const END = '<!-- transcript:end -->';
const PAGE = join(import.meta.dirname, '..', '..', 'docs', 'protocol.md');

/** The transcript as the page has it now. */
export function writtenTranscript(): string {
  const text = readFileSync(PAGE, 'utf8');
  return text.slice(text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END));
}

/** Run this file to write the transcript into docs/protocol.md again. */
async function main(): Promise<void> {
  const text = readFileSync(PAGE, 'utf8');
  const before = text.slice(0, text.indexOf(BEGIN) + BEGIN.length);
  const after = text.slice(text.indexOf(END));
  writeFileSync(PAGE, `${before}\n${await transcribe()}\n${after}`);
}

if (import.meta.main) await main();
