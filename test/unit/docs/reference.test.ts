import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import notes from '../../../protocol/schemas/reference.json' with { type: 'json' };
import { renderReference, type ReferenceNotes } from '../../../protocol/schemas/reference.ts';
import type { Schema } from '../../../protocol/schemas/schema.ts';
import { page, project } from './pages.ts';

const schemas = new Map(
  globSync('protocol/schemas/*.schema.json', { cwd: project })
    .toSorted()
    .map((path): [string, Schema] => [
      basename(path, '.schema.json'),
      JSON.parse(readFileSync(join(project, path), 'utf8')) as Schema,
    ]),
);
const protocol = page('docs/protocol.md');

function render(changed: Partial<ReferenceNotes>): string {
  return renderReference({ schemas, notes: { ...notes, ...changed }, protocol });
}

function without(notes: Readonly<Record<string, string>>, name: string): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(notes).filter(([key]) => key !== name));
}

describe('docs/reference.md', () => {
  it('is what the schemas say (else run npm run generate)', () => {
    expect(page('docs/reference.md')).toBe(render({}));
  });

  it('has a section for every schema and every shared type', () => {
    const definitions = Object.keys(schemas.get('common')?.['$defs'] as Schema);
    const sections = [...page('docs/reference.md').matchAll(/^### (.+)$/gm)].map(([, name]) => name ?? '');
    const messages = [...schemas.keys()].filter((name) => name !== 'common');
    expect(sections.toSorted()).toEqual([...messages, ...definitions].toSorted());
  });

  it.each<[string, Partial<ReferenceNotes>, string]>([
    [
      'a field without a meaning',
      { meanings: without(notes.meanings, 'usage.cpuSeconds') },
      'usage.cpuSeconds',
    ],
    ['a type without one', { types: without(notes.types, 'resultOk') }, 'resultOk'],
    ['a meaning of nothing', { meanings: { ...notes.meanings, 'usage.gpu': 'x' } }, 'usage.gpu'],
    ['a message that nobody says', { messages: { ask: notes.messages.ask } }, 'answers'],
    [
      'a requirement that is not there',
      {
        messages: {
          ...notes.messages,
          job: { ...notes.messages.job, requirements: [['L', '999'].join('-')] },
        },
      },
      ['L', '999'].join('-'),
    ],
  ])('cannot be made with %s', (_what, changed, named) => {
    expect(() => render(changed)).toThrow(named);
  });
});
