import { chmod } from 'node:fs/promises';
import { decodeInstallationPin } from '../../protocol/enrolment.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import type { EnrolmentWay } from '../enrolment-way.ts';
import { contextPlaces } from './context-place.ts';
import { readContext, takeContext } from './read-context.ts';

export interface ToldOptions {
  /** As `contextPlaces` takes it. */
  readonly context: string;
  /** Where to enrol and whom to believe; goes before what the context says. */
  readonly installation?: string;
  /** The directory that BOINC shares with the machine; looked into where the context may be anywhere. */
  readonly shared?: string;
}

/** What a virtual machine was told: how to enrol with it, and where it lies. */
export interface ToldAccount {
  /** Reads it now. May reject with `INVALID_CONTEXT` or `INVALID_CODE`. */
  readonly way: () => Promise<EnrolmentWay>;
  readonly ownersFiles: readonly string[];
}

/**
 * Takes what was told out of the environment, and from everybody but its owner, at every start: BOINC puts it there again at each.
 * Throws `INVALID_REQUEST` where the context is no place.
 */
export async function toldAccount(
  options: ToldOptions,
  environment: NodeJS.ProcessEnv,
): Promise<ToldAccount> {
  const places = contextPlaces(options.context, options.shared);
  const ownersFiles = places.flatMap((place) => (place.kind === 'environment' ? [] : [place.path]));
  // Not there, somebody else's, or on a file system without modes: whether jobs can read it is tried before they run.
  await Promise.allSettled(ownersFiles.map((path) => chmod(path, 0o600)));
  const variables = takeContext(environment);
  return {
    ownersFiles,
    async way() {
      const { account, installation } = await readContext(places, variables);
      const pin = decodeInstallationPin(options.installation ?? installation ?? nobodySaid());
      return { ...pin, credential: async () => ({ method: 'boinc', ...account }) };
    },
  };
}

function nobodySaid(): never {
  throw new CoPilotError(
    'INVALID_CONTEXT',
    'neither --installation nor the context says where to enrol; the operator prints it with `co-pilot agent pin`',
  );
}
