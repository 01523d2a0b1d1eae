import { chmod, rm, writeFile } from 'node:fs/promises';
import { inspect } from 'node:util';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type CredentialFiles,
  type CredentialPaths,
  openCredentialFiles,
} from '../../../adapters/jobs/kit/credential-files.ts';
import type { Log } from '../../../protocol/runtime/runtime.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { createIssuer, type Issued } from '../../doubles/certificates.ts';
import { eventually } from '../../doubles/eventually.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

describe('the files of a credential', () => {
  let folder: string;
  let first: Issued;
  let second: Issued;
  let open: CredentialFiles | undefined;
  const lines: string[] = [];
  const note = (fields: object, message: string): void => void lines.push(inspect([fields, message]));
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const at = (name: string): string => join(folder, name);
  const put = (name: string, text: string): Promise<void> => writeFile(at(name), text, { mode: 0o600 });
  const openAt = async (paths: CredentialPaths): Promise<CredentialFiles> =>
    (open = await openCredentialFiles(paths, { clock: nodeClock, log }));

  beforeAll(async () => {
    folder = await temporaryDirectory('credential');
    const issue = createIssuer(folder);
    first = issue({ subject: '/CN=robot', days: 3 });
    second = issue({ subject: '/CN=robot renewed', days: 9 });
  });
  afterEach(() => open?.stop());
  afterAll(() => removeDirectory(folder));

  it('give certificate and key, and say when they end', async () => {
    await put('cert', first.pem);
    await put('key', first.key);
    const credential = (await openAt({ certificateFile: at('cert'), keyFile: at('key') })).current();
    expect(credential.tls()).toEqual({ cert: first.pem, key: first.key });
    expect(credential.bearer()).toBeUndefined();
    expect(credential.expiresMs).toBeGreaterThan(Date.now());
    expect(credential.expiresMs).toBeLessThan(Date.now() + 4 * 86_400_000);
  });

  it('give a proxy in one file as certificates and key, in whatever order', async () => {
    await put('proxy', `${first.pem}${first.key}${second.pem}`);
    const { cert, key } = (await openAt({ proxyFile: at('proxy') })).current().tls()!;
    expect(cert.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(cert).not.toContain('PRIVATE KEY');
    expect(key).toMatch(/^-----BEGIN [A-Z ]*PRIVATE KEY-----/);
    expect(key).not.toContain('CERTIFICATE');
  });

  it('give a token without the line end, and the end a JWT states', async () => {
    const claims = Buffer.from(JSON.stringify({ exp: 2_000_000_000 })).toString('base64url');
    await put('token', `eyJhbGciOiJub25lIn0.${claims}.x\n`);
    const credential = (await openAt({ tokenFile: at('token') })).current();
    expect(credential.bearer()).toBe(`eyJhbGciOiJub25lIn0.${claims}.x`);
    expect(credential.expiresMs).toBe(2_000_000_000_000);
  });

  it('are read again when they were renewed, certificate and key one after the other', async () => {
    await put('cert', first.pem);
    await put('key', first.key);
    const files = await openAt({ certificateFile: at('cert'), keyFile: at('key') });
    expect(files.current().version).toBe(1);
    await put('cert', second.pem);
    await eventually(
      'the new certificate to be seen',
      () => {
        files.current();
        return lines.find((line) => line.includes('do not fit together'));
      },
      5_000,
    );
    expect(files.current().tls()).toEqual({ cert: first.pem, key: first.key });
    await put('key', second.key);
    const renewed = await eventually(
      'the renewed credential',
      () => (files.current().version === 2 ? files.current() : undefined),
      5_000,
    );
    expect(renewed.tls()).toEqual({ cert: second.pem, key: second.key });
  });

  it('count as before when they vanish', async () => {
    await put('gone', 'secret-token');
    const files = await openAt({ tokenFile: at('gone') });
    lines.length = 0;
    await rm(at('gone'));
    await eventually(
      'the loss to be noted',
      () => {
        files.current();
        return lines.find((line) => line.includes('goes on to count'));
      },
      5_000,
    );
    expect(files.current().bearer()).toBe('secret-token');
  });

  it.each([
    ['that is not there', {}, () => ({ tokenFile: at('nowhere') })],
    ['that others may read', { open: 'secret-token' }, () => ({ tokenFile: at('open') })],
    ['with a line end in the token', { broken: 'secret\r\nhost: evil' }, () => ({ tokenFile: at('broken') })],
    ['with no key in the proxy', { 'no-key': 'nothing' }, () => ({ proxyFile: at('no-key') })],
    ['with a certificate alone', { 'cert-alone': 'x' }, () => ({ certificateFile: at('cert-alone') })],
  ])('refuse one %s', async (_what, files, paths) => {
    for (const [name, text] of Object.entries(files)) await put(name, text);
    if ('open' in files) await chmod(at('open'), 0o644);
    await expect(openAt(paths())).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
  });

  it('refuse the key of another certificate', async () => {
    await put('cert', first.pem);
    await put('key', second.key);
    const paths = { certificateFile: at('cert'), keyFile: at('key') };
    await expect(openAt(paths)).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
  });

  it('I10 stand in no log, and a credential that somebody writes to one shows none', async () => {
    await put('token', 'canary-of-the-token');
    await put('cert', first.pem);
    await put('key', first.key);
    const files = await openAt({ tokenFile: at('token'), certificateFile: at('cert'), keyFile: at('key') });
    note({ credential: files.current() }, JSON.stringify(files.current()));
    expect(lines.join('\n')).not.toContain('canary');
    expect(lines.join('\n')).not.toContain('PRIVATE KEY');
  });
});
