import { execFileSync } from 'node:child_process';
import { chmod, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { contextPlaces } from '../../../agent/vm/context-place.ts';
import { hostText } from '../../../agent/vm/floppy.ts';
import { initDataFields } from '../../../agent/vm/init-data.ts';
import { keyValues } from '../../../agent/vm/key-values.ts';
import { readContext } from '../../../agent/vm/read-context.ts';
import { toldAccount } from '../../../agent/vm/told-account.ts';
import { detectIsolation } from '../../../agent/executors/detect-isolation.ts';
import { runAgent } from '../../../agent/main.ts';
import { encodeInstallationPin } from '../../../protocol/enrolment.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { toCoPilotError } from '../../../protocol/errors.ts';
import { floppyImage } from '../../doubles/floppy-image.ts';
import { initData, vmLines } from '../../doubles/vm-context.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const STRONG = '0123456789abcdef0123456789abcdef';
const ACCOUNT = { user: 4711, authenticator: STRONG, host: 99 };

let directory: string;
beforeEach(async () => {
  directory = await temporaryDirectory('vm');
});
afterEach(() => removeDirectory(directory));

const put = async (name: string, content: string | Uint8Array): Promise<string> => {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
};
const read = (option: string, environment: NodeJS.ProcessEnv = {}) =>
  readContext(contextPlaces(option), environment);
/** What reading is refused with; it never shows the secret. */
const refusal = async (option: string): Promise<string> => {
  const error = toCoPilotError(
    await read(option).then(
      () => new Error('it was taken'),
      (caught: unknown) => caught,
    ),
  );
  expect(error.code).toBe('INVALID_CONTEXT');
  expect(JSON.stringify([error.message, error.cause, error.stack])).not.toContain(STRONG);
  return error.message;
};

describe('the floppy image', () => {
  it('is read at the offsets of the code that writes it, whatever its flags say', async () => {
    const image = floppyImage(vmLines(ACCOUNT));
    expect(image).toHaveLength(28_672);
    expect(image[28_670]).toBe(1);
    for (const flag of [0, 1]) {
      image[28_670] = flag;
      const path = await put('fd0', image);
      expect(await read(`floppy:${path}`)).toEqual({ account: ACCOUNT });
    }
  });

  it('may hold the whole init_data.xml', async () => {
    const path = await put('fd0', floppyImage(initData(ACCOUNT)));
    expect(await read(`floppy:${path}`)).toEqual({ account: ACCOUNT });
  });

  it('does not lend the guest what it wrote to the host', async () => {
    const image = floppyImage('');
    image.set(Buffer.from(vmLines(ACCOUNT)), 14_335);
    expect(await refusal(`floppy:${await put('fd0', image)}`)).toContain('there is nothing in');
  });

  it('loses its last line where it was cut: half a secret is none', async () => {
    const begin = 'BOINC_USERID=4711\nFILL=';
    const end = `\nBOINC_AUTHENTICATOR=${STRONG}`;
    const cut = `${begin}${'x'.repeat(14_334 - begin.length - end.length)}${end}${STRONG}\n`;
    expect(hostText(floppyImage(cut))).toMatchObject({ isWhole: false });
    expect(hostText(floppyImage(cut)).text.endsWith(end)).toBe(true);
    expect(await refusal(`floppy:${await put('fd0', floppyImage(cut))}`)).toContain('BOINC_AUTHENTICATOR');
  });

  it.each([
    ['is not there', undefined],
    ['is empty', ''],
    ['is all zero', '\0'.repeat(28_672)],
  ])('that %s holds nothing', async (_what, content) => {
    const path = content === undefined ? join(directory, 'fd0') : await put('fd0', content);
    expect(await refusal(`floppy:${path}`)).toContain('there is nothing in');
  });

  it('that is shorter is read as far as it goes, without a line that may be half', async () => {
    const path = await put('fd0', `${vmLines(ACCOUNT)}COPILOT_INSTALLATION=cpi1.hal`);
    expect(await read(`floppy:${path}`)).toEqual({ account: ACCOUNT });
  });
});

describe('lines of KEY=VALUE', () => {
  it('are split at their first =, and what comes first counts', () => {
    const fields = keyValues('BOINC_USERNAME=a=b c\nBOINC_USERID=1\nBOINC_USERID=2\nno line\n=x\nlow=1\n');
    expect([...fields]).toEqual([
      ['BOINC_USERNAME', 'a=b c'],
      ['BOINC_USERID', '1'],
    ]);
  });

  it('a name with a line break changes nothing that was said before it', async () => {
    const lines = `BOINC_USERID=4711\nBOINC_AUTHENTICATOR=${STRONG}\nBOINC_USERNAME=x\nBOINC_USERID=1\nBOINC_HOSTID=7\n`;
    const path = await put('context', lines);
    const { account } = await read(`file:${path}`);
    expect(account).toEqual({ user: 4711, authenticator: STRONG, host: 7 });
  });

  it('survive any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        for (const [key, value] of keyValues(text)) {
          expect(key).toMatch(/^[A-Z][A-Z0-9_]*$/);
          expect(value).not.toContain('\n');
        }
      }),
      { numRuns: 30 },
    );
  });

  it('name the installation, and an account in its weak form', async () => {
    const weak = `4711_${STRONG}`;
    const path = await put('context', vmLines({ user: 4711, authenticator: weak, installation: 'cpi1.x' }));
    expect(await read(`file:${path}`)).toEqual({
      account: { user: 4711, authenticator: weak },
      installation: 'cpi1.x',
    });
  });

  it.each([
    ['no user', `BOINC_AUTHENTICATOR=${STRONG}\n`],
    ['no authenticator', 'BOINC_USERID=4711\n'],
    ['user 0', `BOINC_USERID=0\nBOINC_AUTHENTICATOR=${STRONG}\n`],
    ['a name for a number', `BOINC_USERID=me\nBOINC_AUTHENTICATOR=${STRONG}\n`],
    ['a number too large', `BOINC_USERID=2147483648\nBOINC_AUTHENTICATOR=${STRONG}\n`],
    ['a short authenticator', `BOINC_USERID=4711\nBOINC_AUTHENTICATOR=${STRONG.slice(1)}\n`],
    ['SQL', `BOINC_USERID=4711\nBOINC_AUTHENTICATOR=' OR 1=1 -- \n`],
    ['a host that is no number', vmLines(ACCOUNT).replace('HOSTID=99', 'HOSTID=-1')],
  ])('with %s are refused', async (_what, lines) => {
    await refusal(`file:${await put('context', lines)}`);
  });
});

describe('init_data.xml', () => {
  it('is read by its elements, with names escaped and a host that is not known yet', async () => {
    const path = await put('init_data.xml', initData({ ...ACCOUNT, host: 0, userName: 'a < b & "c"' }));
    const account = { user: 4711, authenticator: STRONG };
    expect(await read(`init-data:${path}`)).toEqual({ account });
    expect(await read(`directory:${directory}/./`)).toEqual({ account });
  });

  it('an element deeper down, or a second one, is not taken', () => {
    const fields = initDataFields(
      `<app_init_data><project_preferences><userid>1</userid></project_preferences>
       <userid>4711</userid><userid>2</userid><!-- <hostid>3</hostid> --></app_init_data>`,
    );
    expect([...fields]).toEqual([['BOINC_USERID', '4711']]);
  });

  it.each([
    ['another root', `<x><userid>1</userid><authenticator>${STRONG}</authenticator></x>`],
    ['a cut end', initData(ACCOUNT).slice(0, -20)],
    [
      'elements that cross',
      `<app_init_data><userid>1<authenticator>${STRONG}</userid></authenticator></app_init_data>`,
    ],
    [
      'entities of its own',
      `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]]><app_init_data><userid>&a;</userid><authenticator>${STRONG}</authenticator></app_init_data>`,
    ],
    [
      'entities that grow',
      `<app_init_data><userid>${'&lol9;'.repeat(1000)}</userid>${STRONG}</app_init_data>`,
    ],
    ['no XML', STRONG],
    ['ten thousand levels', `${'<app_init_data>'.repeat(10_000)}${STRONG}`],
    ['too much', `<app_init_data>${' '.repeat(300_000)}${STRONG}</app_init_data>`],
  ])('with %s is refused', async (_what, text) => {
    await refusal(`init-data:${await put('init_data.xml', text)}`);
  });
});

describe('how a machine enrols by what it was told', () => {
  const pin = { url: 'https://broker.example.org', certifier: new Uint8Array(32).fill(7) };
  const installation = encodeInstallationPin(pin);
  const other = encodeInstallationPin({ ...pin, url: 'https://other.example.org' });

  it('shows the account to the installation that the option names, else the context', async () => {
    const context = `file:${await put('context', vmLines({ ...ACCOUNT, installation }))}`;
    const way = await (await toldAccount({ context }, {})).way();
    expect(way).toMatchObject(pin);
    const asked = { installation: 'home', challenge: '', sig: '', kex: '' };
    expect(await way.credential(asked)).toEqual({ method: 'boinc', ...ACCOUNT });
    const { way: fromOption } = await toldAccount({ context, installation: other }, {});
    expect(await fromOption()).toMatchObject({ url: 'https://other.example.org' });
  });

  it('ends where nobody says an installation, or what is said is none', async () => {
    const context = `file:${await put('context', vmLines(ACCOUNT))}`;
    const told = await toldAccount({ context }, {});
    await expect(told.way()).rejects.toMatchObject({ code: 'INVALID_CONTEXT' });
    const wrong = await toldAccount({ context, installation: 'cpi1.x' }, {});
    await expect(wrong.way()).rejects.toMatchObject({ code: 'INVALID_CODE' });
  });

  it('takes it from everybody else at each start, before anybody asks for it', async () => {
    const path = await put('init_data.xml', initData(ACCOUNT));
    await chmod(path, 0o666);
    const environment = { BOINC_USERID: '1', BOINC_AUTHENTICATOR: STRONG, BOINC_HOSTID: '2', PATH: '/bin' };
    const { ownersFiles, way } = await toldAccount(
      { context: 'auto', installation, shared: directory },
      environment,
    );
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(ownersFiles).toEqual(expect.arrayContaining([path, '/dev/fd0']));
    expect(environment).toEqual({ PATH: '/bin' });
    const shown = await (await way()).credential({ installation: '', challenge: '', sig: '', kex: '' });
    expect(shown).toEqual({ method: 'boinc', user: 1, authenticator: STRONG, host: 2 });
  });

  it('runs nothing without isolation, whose jobs could read it', async () => {
    const lines: string[] = [];
    const code = await runAgent({
      directory: join(directory, 'agent'),
      ownersFiles: [],
      slots: 1,
      isolation: 'none',
      drainSeconds: 0,
      json: false,
      signal: new AbortController().signal,
      write: (line) => lines.push(line),
    });
    expect([code, lines.join()]).toEqual([78, expect.stringContaining('without isolation jobs could read')]);
  });

  it('works with no method of isolation that lets jobs read it all the same', async () => {
    const path = await put('context', vmLines(ACCOUNT));
    await chmod(path, 0o644);
    await chmod(directory, 0o755);
    const found = await detectIsolation('uid', { clock: nodeClock, hiddenPaths: [path] });
    expect(found).toMatchObject({ kind: 'nothing-works' });
  });
});

describe('where it is looked for', () => {
  it('auto takes the first place that holds anything', async () => {
    await put('init_data.xml', initData(ACCOUNT));
    const places = contextPlaces('auto', directory);
    const kinds = ['environment', 'init-data', 'init-data', 'init-data', 'floppy'];
    expect(places.map(({ kind }) => kind)).toEqual(kinds);
    expect(await readContext(places, {})).toEqual({ account: ACCOUNT });
    const environment = { BOINC_USERID: '1', BOINC_AUTHENTICATOR: STRONG, PATH: '/bin' };
    expect(await readContext(places, environment)).toEqual({ account: { user: 1, authenticator: STRONG } });
    expect(environment).toEqual({ PATH: '/bin' });
  });

  it('a pipe, a directory, and a device that never ends are refused at once', async () => {
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await symlink('/dev/zero', join(directory, 'zero'));
    for (const option of [`floppy:${pipe}`, `file:${directory}`, `floppy:${join(directory, 'zero')}`])
      expect(await refusal(option)).toContain('neither a file nor a disk');
  });

  it.each([
    '',
    'floppy',
    'floppy:',
    'floppy:fd0',
    'disk:/x',
    'init-data:./x',
    'automatic',
    'file:/tmp/../usr/x',
  ])('%j is no place', (option) => {
    expect(() => contextPlaces(option)).toThrow(/--context/);
  });
});
