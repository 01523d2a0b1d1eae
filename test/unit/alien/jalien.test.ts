import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createFileTransfer } from '../../../adapters/jobs/alien/file-transfer.ts';
import { createJalienCatalogue } from '../../../adapters/jobs/alien/jalien-catalogue.ts';
import { createJalienSession, type JalienSession } from '../../../adapters/jobs/alien/jalien-session.ts';
import { bytesPiece } from '../../../adapters/jobs/alien/piece.ts';
import { openCredentialFiles } from '../../../adapters/jobs/kit/credential-files.ts';
import { createIssuer, type Issued } from '../../doubles/certificates.ts';
import { type JalienDouble, startJalienDouble } from '../../doubles/jalien/jalien-double.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { type AlienWorld, alienWorld, usage } from './alien-world.ts';

const AGENT = 'b'.repeat(26);
const job = { id: '3141592653', token: '', user: 'vol', ce: 'A::B::C' };

describe('JAliEn over its WebSocket', () => {
  let clock: ManualClock;
  let double: JalienDouble;
  let session: JalienSession;
  let folder: string;
  const open = async (form: '2022' | '2026' = '2022', quota?: number): Promise<void> => {
    clock = createManualClock();
    folder = await temporaryDirectory('jalien');
    double = await startJalienDouble({
      clock,
      random: createSeededRandom(3),
      form,
      ...(quota !== undefined && { quota }),
    });
    const credential = await openCredentialFiles({}, { clock, log: silentLog });
    session = createJalienSession({ clock, url: double.url, credential, ca: undefined, timeoutMs: 5000 });
  };
  const close = async (): Promise<void> => {
    await session.stop();
    await double.stop();
    await removeDirectory(folder);
  };
  const outputFile = (text: string) => {
    const md5 = createHash('md5').update(text).digest('hex');
    return {
      content: bytesPiece(Buffer.from(text)),
      lfn: '/alice/cern.ch/user/v/vol/out/out.zip',
      md5,
      storage: 'disk:2',
      members: [],
    };
  };
  const catalogue = () =>
    createJalienCatalogue(
      session,
      createFileTransfer({ xrdcp: 'xrdcp', timeoutMs: 5000, directory: folder }),
    );

  describe('commands', () => {
    beforeEach(async () => open());
    afterEach(async () => close());

    it('submits, lists, kills: ids are texts, the sentence is not read', async () => {
      const [row] = await session.command('submit', ['Executable = "/bin/sim.sh"; Arguments = "$1";', '42']);
      const id = row?.get('jobId');
      expect(id).toBe('3141592653');
      const [listed] = await session.command('ps', ['-j', String(id)]);
      expect(Object.fromEntries(listed ?? [])).toEqual({
        owner: 'vol',
        id,
        split: '0',
        priority: '0',
        status: 'INSERTING',
        name: 'sim.sh',
      });
      expect((await session.command('kill', [String(id)]))[0]?.get('status')).toBe('killed');
      expect((await session.command('kill', [String(id)]))[0]?.get('status')).toBe('failed_to_kill');
      expect((await session.command('ps', ['-trace', String(id)]))[0]?.get('trace')).toMatch(
        /^\[state {5}\]: /,
      );
    });

    it('says what an error number means', async () => {
      await expect(session.command('submit', ['TTL = 5;'])).rejects.toMatchObject({ code: 'UNREACHABLE' });
      await expect(session.command('ps', ['-jdl', '7'])).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(session.command('nothing', [])).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(session.command('access', ['write', '/a'])).rejects.toMatchObject({ code: 'UNSUPPORTED' });
      await expect(session.command('cp', [])).rejects.toMatchObject({ code: 'UNREACHABLE' });
    });

    it('keeps every reply with its command, however many are asked at once', async () => {
      const ids = await Promise.all(
        Array.from({ length: 20 }, () => session.command('submit', ['Executable = "a.sh";'])),
      );
      const rows = await Promise.all(
        ids.map(([row]) => session.command('ps', ['-j', row?.get('jobId') ?? ''])),
      );
      expect(rows.map(([row]) => row?.get('id'))).toEqual(ids.map(([row]) => row?.get('jobId')));
      expect(double.sessions()).toBe(1);
    });

    it('begins anew after the server ended a session that was idle', async () => {
      await session.command('ping', []);
      clock.advance(900_001);
      await expect.poll(() => double.sessions()).toBe(0);
      await session.command('ping', []);
      expect(double.sessions()).toBe(1);
    });

    it.each([
      ['lost', 'UNREACHABLE'],
      ['half', 'UNREACHABLE'],
    ] as const)('takes nothing for a yes where a reply is %s', async (fault, code) => {
      double.setFaults({ [fault]: true });
      await expect(session.command('whoami', [])).rejects.toMatchObject({ code });
      double.setFaults({ [fault]: false });
      expect((await session.command('whoami', []))[0]?.get('username')).toBe('vol');
    });

    it('gives up a reply that does not come, and the session with it', async () => {
      double.setFaults({ hang: true });
      const asked = session.command('whoami', []);
      await expect.poll(() => double.commands.length).toBe(1);
      clock.advance(5001);
      await expect(asked).rejects.toMatchObject({ code: 'TIMEOUT' });
      double.setFaults({ hang: false });
      expect((await session.command('whoami', []))[0]?.get('username')).toBe('vol');
    });

    it('trusts no reply after one too many', async () => {
      double.setFaults({ twice: true });
      await session.command('whoami', []);
      double.setFaults({ twice: false });
      await expect.poll(() => double.sessions()).toBe(0);
      const [row] = await session.command('submit', ['Executable = "a.sh";']);
      expect(row?.get('jobId')).toMatch(/^[0-9]+$/);
    });

    it('answers to the byte what clients read', async () => {
      const socket = new WebSocket(double.url);
      const replies: string[] = [];
      await new Promise((resolve) => socket.once('open', resolve));
      socket.on('message', (data: Buffer) => replies.push(data.toString()));
      for (const text of [
        '{',
        '{"command":"x"}',
        '{"command":"whoami","options":["-nomsg"]}',
        '{"command":"version","options":["-nokeys"]}',
      ])
        socket.send(text);
      await expect.poll(() => replies.length).toBe(4);
      socket.close();
      const home = '"user":"vol","currentdir":"/alice/cern.ch/user/v/vol/"';
      expect(replies).toEqual([
        '{"metadata":{"exitcode":"-1","error":"Incoming JSON not ok"},"results":[]}',
        `{"metadata":{"exitcode":"2","error":"Command [x] not found!",${home}},"results":[]}`,
        `{"metadata":{"exitcode":"0","error":"",${home}},"results":[{"username":"vol","role":"vol","roles":"vol","fullname":"vol"}]}`,
        `{"metadata":{"exitcode":"0","error":"",${home}},"results":[{"message":"JAliEn version: 1.4.0"}]}`,
      ]);
    });
  });

  it('reads the keys of both generations of ps', async () => {
    for (const form of ['2022', '2026'] as const) {
      await open(form);
      await session.command('submit', ['Executable = "a.sh";']);
      expect((await session.command('ps', []))[0]?.get('id')).toBe('3141592653');
      await close();
    }
  });

  describe('storing', () => {
    afterEach(async () => close());

    it('asks for places with the MD5, fills them, commits, and finds it done when asked again', async () => {
      await open();
      const file = outputFile('archive');
      const stored = await catalogue().store(file, job);
      expect(stored).toMatchObject({
        wanted: 2,
        pfns: [expect.stringContaining('/niham/'), expect.stringContaining('/cern/')],
      });
      expect(double.files.file(file.lfn)).toMatchObject({ size: '7', md5: file.md5, pfns: [{}, {}] });
      expect(double.files.bookings()).toEqual([]);
      expect(await catalogue().store(file, job)).toMatchObject({ pfns: stored.pfns });
      expect(double.commands.filter(({ command }) => command === 'commit')).toHaveLength(2);
      await catalogue().fetch(file.lfn, join(folder, 'back'));
      expect(readFileSync(join(folder, 'back'), 'utf8')).toBe('archive');
    });

    it('does not replace another file of the name', async () => {
      await open();
      await catalogue().store(outputFile('first'), job);
      await expect(catalogue().store(outputFile('other'), job)).rejects.toMatchObject({
        code: 'CONFLICT',
      });
    });

    it('says that the quota is used up', async () => {
      await open('2022', 3);
      await expect(catalogue().store(outputFile('much'), job)).rejects.toMatchObject({
        code: 'QUOTA_EXCEEDED',
      });
    });

    it('is told of a storage that is full, and of bookings that expire', async () => {
      await open();
      double.storage.setFull(true);
      await expect(catalogue().store(outputFile('x'), job)).rejects.toMatchObject({
        code: 'UNREACHABLE',
      });
      expect(double.files.bookings()).toHaveLength(2);
      clock.advance(86_400_001);
      expect(double.files.bookings()).toEqual([]);
    });

    it('takes no success that was none', async () => {
      await open();
      double.setFaults({ liar: true });
      await expect(catalogue().store(outputFile('x'), job)).rejects.toMatchObject({
        code: 'UNREACHABLE',
      });
      await expect(catalogue().fetch('/a/b', join(folder, 'b'))).rejects.toMatchObject({
        code: 'UNREACHABLE',
      });
    });

    it('registers nothing with an envelope that was changed, and nothing that is not there', async () => {
      await open();
      const file = outputFile('x');
      const [place] = await session.command('access', [
        '-s',
        '1',
        '-m',
        file.md5,
        '-j',
        '1',
        'write',
        file.lfn,
        'disk:1',
      ]);
      const [envelope = '', url = '', se = '', guid = ''] = ['envelope', 'url', 'se', 'guid'].map(
        (key) => place?.get(key) ?? '',
      );
      const commit = (sealed: string) =>
        session.command('commit', [sealed, '1', file.lfn, '644', '0', url, se, guid, file.md5]);
      await expect(commit(envelope.replace('size=1', 'size=9'))).rejects.toMatchObject({
        code: 'RESULT_REFUSED',
      });
      await expect(commit(envelope)).rejects.toMatchObject({ code: 'RESULT_REFUSED' });
      expect(double.files.bookings()).toMatchObject([{ isRejected: true }]);
      expect(double.files.files()).toEqual([]);
    });
  });
});

describe('who may speak to JAliEn', () => {
  let folder: string;
  let authority: Issued;
  let server: Issued;
  let user: Issued;
  beforeAll(async () => {
    folder = await temporaryDirectory('jalien-tls');
    const issue = createIssuer(folder);
    authority = issue({ subject: '/O=Test/CN=authority', extensions: ['basicConstraints=critical,CA:TRUE'] });
    server = issue({
      subject: '/O=Test/CN=localhost',
      issuer: authority,
      extensions: ['subjectAltName=DNS:localhost'],
    });
    user = issue({ subject: '/O=Test/CN=Users', issuer: authority });
  });
  afterAll(async () => removeDirectory(folder));

  it('is who has a certificate; anybody else gets 401 at the upgrade', async () => {
    const clock = createManualClock();
    const double = await startJalienDouble({
      clock,
      random: createSeededRandom(3),
      tls: { cert: server.pem, key: server.key, ca: authority.pem },
    });
    const options = { clock, url: double.url, ca: authority.pem, timeoutMs: 5000 };
    const nobody = createJalienSession({
      ...options,
      credential: await openCredentialFiles({}, { clock, log: silentLog }),
    });
    await expect(nobody.command('ping', [])).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
    const { certificateFile, keyFile } = user;
    const credential = await openCredentialFiles({ certificateFile, keyFile }, { clock, log: silentLog });
    const known = createJalienSession({ ...options, credential });
    expect((await known.command('whoami', []))[0]?.get('username')).toBe('vol');
    await known.stop();
    await nobody.stop();
    credential.stop();
    await double.stop();
  });
});

describe('a job whose files are in JAliEn’s catalogue', () => {
  let world: AlienWorld;
  beforeEach(async () => {
    world = await alienWorld({ hasJalien: true });
  });
  afterEach(async () => world.close());

  it('gets its inputs from a storage, and its outputs are registered before it is saved', async () => {
    const id = world.submit(
      'OutputArchive = {"logs.zip:stdout,stderr@disk=2"}; OutputFile = {"*.root@disk=1"};',
    );
    const fetched = await world.fetchOne();
    await world.adapter().started(fetched.job, 1, AGENT, fetched.state!);
    const manifest = await world.run(fetched, 1);
    expect(await world.adapter().finished(fetched.job, 1, manifest, usage, fetched.state!)).toBe('ok');
    expect(world.row(id).status).toBe('SAVED');
    expect(world.row(id).resultsJdl).toContain('SuccessfullyBookedPFNs');
    expect(world.jalien?.files.file('/alice/cern.ch/user/v/vol/out/logs.zip')?.pfns).toHaveLength(2);
    expect(world.jalien?.files.file('/alice/cern.ch/user/v/vol/out/result.root')?.pfns).toHaveLength(1);
    const accesses = world.jalien?.commands.filter(({ options }) => options.includes('write')) ?? [];
    expect(
      accesses.every(
        ({ options }) => options.includes('-m') && options[options.indexOf('-j') + 1] === String(id),
      ),
    ).toBe(true);
  });

  it('is SAVED_WARN with fewer copies than asked for, and stays with us while storages are full', async () => {
    const id = world.submit('OutputFile = {"result.root@disk=5"};');
    const fetched = await world.fetchOne();
    const manifest = await world.run(fetched, 1);
    world.jalien?.storage.setFull(true);
    const finish = () => world.adapter().finished(fetched.job, 1, manifest, usage, fetched.state!);
    await expect(finish()).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(world.row(id).status).toBe('SAVING');
    world.jalien?.storage.setFull(false);
    expect(await finish()).toBe('ok');
    expect(world.row(id).status).toMatch(/^SAVED/);
  });
});
