import { runFrameworkAdapter } from '../kit/framework-adapter-program.ts';
import type { FrameworkInquiry, FrameworkProgram, FrameworkProgramOptions } from '../kit/framework-kind.ts';
import { reachServer } from '../kit/reach-server.ts';
import { createAlienAdapter } from './alien-adapter.ts';
import { alienOptions } from './alien-options.ts';
import { openJalien } from './open-jalien.ts';

/** Starts the adapter of AliEn as a program on the bus. */
export async function startAdapter(options: FrameworkProgramOptions): Promise<FrameworkProgram> {
  return runFrameworkAdapter(options, (parts) => createAlienAdapter(parts, options.directory));
}

const ANSWER_MS = 10_000;

/** Reaches every service that is named; JAliEn alone says who we are. */
export async function introduce(inquiry: FrameworkInquiry): Promise<string> {
  const { settings, http, openHttp } = inquiry;
  const { broker, manager, jobInfo, clusterMonitor, jalien } = alienOptions(settings);
  await reachServer(http);
  const others = [broker, manager, jobInfo, clusterMonitor].filter((url) => url !== undefined);
  for (const url of others) await reachServer(await openHttp(url));
  const services = `answers at ${others.length + 1} ${others.length === 0 ? 'address' : 'addresses'}`;
  return jalien === undefined
    ? services
    : `${services}, and JAliEn knows us as ${await userAt(jalien, inquiry)}`;
}

async function userAt(url: string, inquiry: FrameworkInquiry): Promise<string> {
  const session = await openJalien(url, inquiry, ANSWER_MS);
  try {
    const [row] = await session.command('whoami', ['-v']);
    return row?.get('username') ?? '';
  } finally {
    await session.stop();
  }
}
