import { describe, expect, it } from 'vitest';
import { findings, rulesFor } from '../../../bin/scan-rules.ts';

const rules = rulesFor('/build7/checkout', '/home/somebody');
const found = (text: string, file = 'docs/page.md'): readonly string[] =>
  findings(file, text, rules).map(({ line, what }) => `${line} ${what}`);

/** Put together here, so that the scan does not find them in this file. */
const key = ['-----BEGIN PRIVATE', ' KEY-----'].join('');

describe('the scan of committed files', () => {
  it.each([
    ['the checkout', 'one\nsee /build7/checkout/notes', '2 a path of this machine (/build7/)'],
    ['a folder beside it', "'/build7/other'", '1 a path of this machine (/build7/)'],
    ['somebody’s home', 'in /home/somebody/x', '1 a path of this machine (/home/somebody)'],
    ['a private key', `${key}\nMC4CAQAwBQYDK2VwBCIEIA`, '1 a private key'],
    ['a private key in a string', `"${key}\\nMC4CAQAwBQYDK2VwBCIEIA"`, '1 a private key'],
    ['a cloud key', `AKIA${'A1B2'.repeat(4)}`, '1 a cloud access key'],
    ['a forge token', `ghp_${'a'.repeat(36)}`, '1 a forge token'],
    ['a registry token', `npm_${'a'.repeat(36)}`, '1 a registry token'],
    ['a registry', `https://${['registry', 'npmjs', 'org'].join('.')}/ws`, '1 a package registry'],
    ['a folder beside the checkout', ['..', 'shared'].join('/'), '1 a folder beside the checkout'],
  ])('finds %s', (_, text, expected) => {
    expect(found(text)).toEqual([expected]);
  });

  it.each([
    'job/build7/x',
    `\${dir}/build7/x`,
    '/build77',
    '/build7 the disk/',
    '/build7/i',
    'building',
    'BEGIN PUBLIC KEY',
    '/usr/bin/node',
  ])('leaves %s alone', (text) => {
    expect(found(text)).toEqual([]);
  });

  it('finds where a package came from in the lockfile only', () => {
    const line = '"resolved": "https://example.org/a.tgz"';
    expect(found(line, 'package-lock.json')).toEqual(['1 where a package was fetched']);
    expect(found(line)).toEqual([]);
  });

  it('names the checkout itself where its first folder is one that every machine has', () => {
    const common = rulesFor('/home/me/src', '/root');
    expect(findings('a', '/home/other and /root/.config', common)).toEqual([]);
    expect(findings('a', '/home/me/src/x', common)).toHaveLength(1);
  });
});
