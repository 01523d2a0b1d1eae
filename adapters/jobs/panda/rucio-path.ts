import { createHash } from 'node:crypto';

/** Where a deterministic storage element keeps a file: `user.cp:out.txt` is at `user/cp/xx/yy/out.txt` (pilot3, `api/data.py`). */
export function rucioPath(scope: string, lfn: string): string {
  const digest = createHash('md5').update(`${scope}:${lfn}`).digest('hex');
  return `${scope.replaceAll('.', '/')}/${digest.slice(0, 2)}/${digest.slice(2, 4)}/${lfn}`;
}
