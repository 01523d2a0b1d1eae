import { availableParallelism, tmpdir, totalmem } from 'node:os';
import { describe, expect, it } from 'vitest';
import { describeHost } from '../../../agent/host-ad.ts';

describe('the ad of a host', () => {
  it('says what the machine offers, in literals', async () => {
    const ad = await describeHost({
      isolation: 'unshare',
      coPilotVersion: '1.2.3',
      workDirectory: tmpdir(),
      nodePath: '/node',
    });
    expect(ad).toMatchObject({
      CoPilotVersion: '1.2.3',
      Cpus: availableParallelism(),
      HasNode: true,
      Isolation: 'unshare',
      NodeVersion: process.versions.node,
    });
    expect(ad.MemoryMiB).toBeGreaterThan(0);
    expect(ad.MemoryMiB).toBeLessThanOrEqual(totalmem() / 1_048_576);
    expect(ad.DiskMiB).toBeGreaterThan(0);
    expect(ad.OpSys).not.toBe('');
    for (const [name, value] of Object.entries(ad)) {
      expect(name).toMatch(/^[A-Za-z][A-Za-z0-9]*$/);
      expect(['string', 'number', 'boolean']).toContain(typeof value);
    }
  });

  it('rejects where the work directory is not there', async () => {
    const request = { isolation: 'none', coPilotVersion: '1', workDirectory: '/nonexistent/x' } as const;
    await expect(describeHost(request)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
