import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { lackingHere, missingPackages } from '../../../bin/install.mjs';
import { Checkout } from './checkout.ts';

const root = join(import.meta.dirname, '..', '..', '..');
let checkout: Checkout | undefined;
afterEach(() => checkout?.remove());

describe('what is missing', () => {
  it('is found by name and version, development packages only when they are wanted', () => {
    checkout = new Checkout('', {
      dependencies: { a: '1.0.0', '@b/c': '2.0.0' },
      devDependencies: { d: '3.0.0' },
    });
    checkout.write('node_modules/a/package.json', '{"version":"1.0.0"}');
    checkout.write('node_modules/@b/c/package.json', '{"version":"2.0.1"}');
    expect(missingPackages(checkout.root, 'run')).toEqual(['@b/c@2.0.0']);
    expect(missingPackages(checkout.root, 'dev')).toEqual(['@b/c@2.0.0', 'd@3.0.0']);
  });

  it('includes a package whose file was cut short', () => {
    checkout = new Checkout('', { dependencies: { a: '1.0.0' } });
    checkout.write('node_modules/a/package.json', '{"vers');
    expect(missingPackages(checkout.root, 'run')).toEqual(['a@1.0.0']);
  });
});

describe('optional packages of a platform that the lockfile does not know', () => {
  const lock = {
    packages: {
      'node_modules/tool': {
        optionalDependencies: {
          'tool-linux-x64': '1.0.0',
          '@tool/core-darwin-arm64': '1.0.0',
          '@tool/core-linux-x64-gnu': '1.0.0',
          '@tool/core-linux-x64-musl': '1.0.0',
        },
      },
      'node_modules/tool-linux-x64': {},
    },
  };

  it.each([
    ['linux', 'x64', ['@tool/core-linux-x64-gnu@1.0.0']],
    ['darwin', 'arm64', ['@tool/core-darwin-arm64@1.0.0']],
    ['darwin', 'x64', []],
  ])('on %s %s are named', (platform, arch, expected) => {
    expect(lackingHere(lock, platform, arch)).toEqual(expected);
  });
});

describe('the lockfile and package.json', () => {
  it('pin every direct dependency exactly', () => {
    const { dependencies, devDependencies } = JSON.parse(
      readFileSync(join(root, 'package.json'), 'utf8'),
    ) as Record<string, Record<string, string>>;
    const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(
      ([, version]) => !/^\d+\.\d+\.\d+$/.test(version),
    );
    expect(loose).toEqual([]);
  });

  it('agree on them, and every locked package has a digest', () => {
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<
        string,
        { version?: string; integrity?: string; inBundle?: boolean; dependencies?: object }
      >;
    };
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      dependencies: object;
    };
    expect(packages['']?.dependencies).toEqual(dependencies);
    const unsigned = Object.entries(packages).filter(
      ([path, { integrity, inBundle }]) => path !== '' && integrity === undefined && inBundle !== true,
    );
    expect(unsigned).toEqual([]);
  });
});
