import type { CrabTask } from './crab-task.ts';

/** Where a job's files are named: below temporary storage first, and where the transfer service takes them. */
export interface LfnPlaces {
  readonly temporary: string;
  readonly final: string;
}

/** As the stock worker makes them, with the folder that jobs share by the thousand. */
export function placesOf(task: CrabTask, number: number): LfnPlaces {
  const [, store = 'store', area, ...rest] = task.outputLfn
    .split('/')
    .filter((part, at) => at === 0 || part !== '');
  const published = task.publishName.replace(/-[^-]*$/, '');
  const [stamp = ''] = task.name.split(':');
  const below = [task.primaryDataset, published, stamp, counter(number)];
  // `/store/user/NAME/…` loses the name, which stands in the temporary folder already.
  const kept = area === 'user' ? rest.slice(1) : rest;
  return {
    temporary: joined(store, 'temp', 'user', `${task.user}.${task.userHash}`, ...kept, ...below),
    final: joined(store, ...(area === undefined ? [] : [area]), ...rest, ...below),
  };
}

/** `out.root` of job 7 is `out_7.root`. */
export function numbered(name: string, number: number): string {
  const dot = name.lastIndexOf('.');
  return dot < 0 ? `${name}_${number}` : `${name.slice(0, dot)}_${number}${name.slice(dot)}`;
}

export function logName(number: number): string {
  return `cmsRun_${number}.log.tar.gz`;
}

function counter(number: number): string {
  return String(Math.floor(number / 1000)).padStart(4, '0');
}

function joined(...parts: readonly string[]): string {
  return `/${parts.join('/')}`;
}
