import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFileTransfer, type FileTransfer } from '../../adapters/jobs/alien/file-transfer.ts';
import { bytesPiece } from '../../adapters/jobs/alien/piece.ts';
import { eventuallyTrue } from '../doubles/eventually.ts';
import { freePort } from '../doubles/free-port.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';
import { needProgram } from '../servers/server-process.ts';

describe('files of a real XRootD server', () => {
  let folder: string;
  let server: ChildProcess;
  let transfer: FileTransfer;
  let url: string;

  beforeAll(async () => {
    folder = await temporaryDirectory('xrootd');
    await mkdir(join(folder, 'data'));
    const port = await freePort();
    const configuration = join(folder, 'server.cfg');
    await writeFile(
      configuration,
      `xrd.port ${port}\nall.export /data\noss.localroot ${folder}\nall.adminpath ${folder}\nall.pidpath ${folder}\n`,
    );
    const asRoot = process.getuid?.() === 0 ? ['-R', 'nobody'] : [];
    if (asRoot.length > 0) spawnSync('chown', ['-R', 'nobody', folder]);
    server = spawn(
      needProgram('xrootd', 'xrootd-server'),
      ['-c', configuration, '-l', join(folder, 'log'), '-n', 'test', ...asRoot],
      {
        stdio: 'ignore',
      },
    );
    url = `root://127.0.0.1:${port}//data`;
    transfer = createFileTransfer({
      xrdcp: needProgram('xrdcp', 'xrootd-client'),
      timeoutMs: 30_000,
      directory: folder,
    });
    await eventuallyTrue('the server', () => listens(port), 30_000);
  }, 60_000);
  afterAll(async () => {
    server.kill('SIGKILL');
    await removeDirectory(folder);
  });

  it('are written with an envelope, read back, and never replaced', async () => {
    const envelope = 'turl=a&access=write-once&signature=00ff';
    const bytes = Buffer.alloc(3_000_000, 7);
    await transfer.put(bytesPiece(bytes), `${url}/one.bin`, envelope);
    await transfer.get(`${url}/one.bin`, envelope, join(folder, 'back.bin'));
    expect((await readFile(join(folder, 'back.bin'))).equals(bytes)).toBe(true);
    await expect(transfer.put(bytesPiece(bytes), `${url}/one.bin`, envelope)).rejects.toMatchObject({
      code: 'UNREACHABLE',
    });
  });

  it('that are not there are not found, and the envelope is in no message', async () => {
    const asked = transfer.get(`${url}/nothing.bin`, 'signature=secret', join(folder, 'nothing'));
    await expect(asked).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.not.stringContaining('secret'),
    });
  });
});

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
