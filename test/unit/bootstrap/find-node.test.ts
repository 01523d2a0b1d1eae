import { describe, expect, it } from 'vitest';
import { isNewEnough, packageFor } from '../../../bin/find-node.mjs';

describe('the Node that is wanted', () => {
  it.each([
    ['v18.20.8', false],
    ['20.20.2', false],
    ['24.14.1', false],
    ['24.15.0', true],
    ['v24.21.0', true],
    ['25.9.0', false],
    ['26.0.0', true],
    ['v0.0.0', false],
  ])('%s is new enough: %s', (version, expected) => {
    expect(isNewEnough(version)).toBe(expected);
  });

  it.each(['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64', 'win32-x64', 'win32-arm64'])(
    'has a pinned package for %s that is new enough itself',
    (target) => {
      const [platform = '', arch = ''] = target.split('-');
      const found = packageFor(platform, arch);
      expect(found?.version).toMatch(/^\d+\.\d+\.\d+$/);
      expect(isNewEnough(found?.version ?? '')).toBe(true);
    },
  );

  it('has none for a platform nobody publishes one for', () => {
    expect(packageFor('sunos', 'x64')).toBeUndefined();
  });
});
