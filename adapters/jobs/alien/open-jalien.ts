import { readFile } from 'node:fs/promises';
import type { FrameworkInquiry } from '../kit/framework-kind.ts';
import { createJalienSession, type JalienSession } from './jalien-session.ts';

/** A session with JAliEn as the settings of a framework have it: its authorities, its credential. */
export async function openJalien(
  url: string,
  { clock, credential, settings }: Pick<FrameworkInquiry, 'clock' | 'credential' | 'settings'>,
  timeoutMs: number,
): Promise<JalienSession> {
  const { caFile } = settings.credential;
  const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8');
  return createJalienSession({ clock, url, credential, ca, timeoutMs });
}
