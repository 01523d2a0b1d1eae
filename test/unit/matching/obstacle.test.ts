import { describe, expect, it } from 'vitest';
import { bucketMatches, bucketOf } from '../../../broker/matching/bucket.ts';
import { createHostClasses } from '../../../broker/matching/host-class.ts';
import { firstObstacle } from '../../../broker/matching/obstacle.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';

const crypto = createCrypto();
const { ad: host } = createHostClasses()({ OpSys: 'LINUX', MemoryMiB: 2000, DiskMiB: 500, Cpus: 4 });

function bucket(requirements: string, memoryMiB = 100, diskMiB = 10) {
  const limits = { wallSeconds: 60, memoryMiB, diskMiB };
  const rest = { command: 'run', arguments: [], environment: {}, inputs: [], outputs: [] };
  return bucketOf((data) => crypto.sha256(data), 'main', { ...rest, limits, requirements });
}

describe('the first obstacle between a job and a machine', () => {
  it.each([
    ['', 100, 10, undefined],
    ['other.Cpus >= 2 && other.OpSys == "linux"', 100, 10, undefined],
    ['', 4000, 10, 'memory false other.MemoryMiB >= 4000 {"MemoryMiB":"2000"}'],
    ['', 100, 900, 'disk false other.DiskMiB >= 900 {"DiskMiB":"500"}'],
    ['other.Cpus > 1 && (other.Cpus > 9 && true)', 1, 1, 'requirements false other.Cpus > 9 {"Cpus":"4"}'],
    ['other.Gpus > 0', 1, 1, 'requirements undefined other.Gpus > 0 {}'],
    ['other.OpSys > 3', 1, 1, 'requirements error other.OpSys > 3 {"OpSys":"\\"LINUX\\""}'],
    ['other.Cpus > 8 || false', 1, 1, 'requirements false other.Cpus > 8 || false {"Cpus":"4"}'],
  ])('%s, memory %d, disk %d: %s', (requirements, memoryMiB, diskMiB, shown) => {
    const wanted = bucket(requirements, memoryMiB, diskMiB);
    const found = firstObstacle(wanted, host);
    const words = found && [found.kind, found.result, found.expression, JSON.stringify(found.host)].join(' ');
    expect(words).toBe(shown);
    expect(found === undefined).toBe(bucketMatches(wanted, host));
  });

  it('I9 is short and found at once, however long the requirements are', () => {
    const long = bucket(`${'other.Cpus > 0 && '.repeat(200)}other.Cpus > 9`);
    expect(firstObstacle(long, host)?.expression.length).toBeLessThanOrEqual(200);
  });
});
