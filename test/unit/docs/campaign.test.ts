import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { expand } from '../../../cli/campaign/expand.ts';
import { loadCampaign } from '../../../cli/campaign/load.ts';
import { fenced, page } from './pages.ts';

const folder = mkdtempSync(join(tmpdir(), 'co-pilot-docs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the first campaign of docs/job-author.md', () => {
  it('loads as it stands and makes one job for each parameter', async () => {
    const [text = ''] = fenced(page('docs/job-author.md'), 'yaml');
    const file = join(folder, 'squares.yaml');
    writeFileSync(file, text);
    const jobs = expand(await loadCampaign(file));
    expect(jobs).toHaveLength(10);
    // A path that is no input is refused by every agent (L-16).
    expect(jobs[6]?.description.command).toMatch(/^[^/]+$/);
    expect(jobs[6]?.description.arguments).toEqual(['-c', 'echo $(( 7 * 7 )) > square.txt']);
  });
});
