import { describe, expect, it } from 'vitest';
import { fenced, page } from './pages.ts';

const FOLDER = 'examples/python-agent';

interface Snippet {
  readonly file: string;
  readonly code: string;
}

/** The pieces of Python on a page, each with the file that was named last before it. */
function snippets(text: string): readonly Snippet[] {
  let file = '';
  return text.split(/(?=^\*\*)/m).flatMap((part) => {
    file = /`(\w+\.py)`/.exec(part)?.[1] ?? file;
    return fenced(part, 'python').map((code) => ({ file, code }));
  });
}

const found = snippets(page('docs/agent-author.md').split('\n## The worked example\n')[1] ?? '');

function firstLine({ file, code }: Snippet): string {
  return `${file}: ${code.split('\n')[0]?.trim() ?? ''}`;
}

describe('the worked example in docs/agent-author.md', () => {
  it('shows something of each part', () => {
    const files = new Set(found.map(({ file }) => file));
    expect([...files]).toEqual([
      'noise.py',
      'wire.py',
      'identity.py',
      'link.py',
      'agent.py',
      'runner.py',
      'transfer.py',
    ]);
  });

  it.each(found.map((snippet) => [firstLine(snippet), snippet] as const))(
    'shows what is there: %s',
    (_, { file, code }) => {
      const holding = ['agent.py', file].filter((name) => page(`${FOLDER}/${name}`).includes(code));
      expect(holding).not.toEqual([]);
    },
  );

  it.each([...page('docs/agent-author.md').matchAll(/\b([BHSFMLVWECX]-\d+)\b/g)].map(([, number]) => number))(
    'names a requirement that there is: %s',
    (number) => {
      expect(page('docs/protocol.md')).toContain(`- **${number}** `);
    },
  );
});
