import { readFile } from 'node:fs/promises';
import { decodeEnrolmentCode, decodeInstallationPin, type InstallationPin } from '../protocol/enrolment.ts';
import { CoPilotError } from '../protocol/errors.ts';
import { certificateWay } from './certificate-way.ts';
import { codeWay, type EnrolmentWay } from './enrolment-way.ts';
import { oidcWay } from './oidc-way.ts';

/** What a person said of how to enrol. */
export interface WayArguments {
  readonly code?: string;
  /** A file that holds the code: arguments are seen by everybody on the machine. */
  readonly codeFile?: string;
  /** Where to enrol without a code: what `co-pilot agent pin` prints. */
  readonly installation?: string;
  readonly oidcTokenFile?: string;
  /** Certificates in PEM; the key lies there too, as in a proxy's file, or in a file of its own. */
  readonly certificateFile?: string;
  readonly certificateKeyFile?: string;
  /** From the environment; counts where nothing else is said. */
  readonly oidcToken?: string;
}

/** Rejects with `INVALID_REQUEST` where it is not clear which way is meant, `INVALID_CODE` where there is none. */
export async function chosenWay(given: WayArguments): Promise<EnrolmentWay> {
  const { code, codeFile, oidcTokenFile, oidcToken, certificateFile } = given;
  const hasCode = code !== undefined || codeFile !== undefined;
  if ([hasCode, oidcTokenFile !== undefined, certificateFile !== undefined].filter(Boolean).length > 1)
    throw new CoPilotError('INVALID_REQUEST', 'an agent enrols in one way: say one alone');
  if (hasCode) return codeWay(decodeEnrolmentCode(await textOf(codeFile, code)));
  if (certificateFile !== undefined) return certificateWay(pinOf(given), () => readCertificates(given));
  if (oidcTokenFile !== undefined || oidcToken !== undefined)
    return oidcWay(pinOf(given), () => textOf(oidcTokenFile, oidcToken));
  throw new CoPilotError(
    'INVALID_CODE',
    'this agent has not enrolled yet: it needs a one-use code, or --installation and what it is known by there',
  );
}

/** What the environment says of it: a token is never an argument, which everybody on the machine sees. */
export function environmentWay(environment: NodeJS.ProcessEnv): WayArguments {
  const oidcToken = environment['COPILOT_OIDC_TOKEN'];
  return oidcToken === undefined || oidcToken === '' ? {} : { oidcToken };
}

/** Files that no job may read. */
export function wayFiles(given: WayArguments): readonly string[] {
  const { codeFile, oidcTokenFile, certificateFile, certificateKeyFile } = given;
  return [codeFile, oidcTokenFile, certificateFile, certificateKeyFile].filter((path) => path !== undefined);
}

function pinOf({ installation }: WayArguments): InstallationPin {
  if (installation !== undefined) return decodeInstallationPin(installation);
  throw new CoPilotError(
    'INVALID_REQUEST',
    'say where to enrol: --installation and what `co-pilot agent pin` prints at the broker',
  );
}

async function readCertificates({ certificateFile, certificateKeyFile }: WayArguments) {
  const certificates = await textOf(certificateFile);
  return {
    certificates,
    key: certificateKeyFile === undefined ? certificates : await textOf(certificateKeyFile),
  };
}

/** A file goes before a text. */
async function textOf(path: string | undefined, text = ''): Promise<string> {
  if (path === undefined) return text;
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new CoPilotError('ENROLMENT_REFUSED', `${path} cannot be read`, { cause });
  }
}
