import { CoPilotError } from '../../../../protocol/errors.ts';
import type { BridgeAccess } from '../../kit/bridge-access.ts';

/** By what ways jobs come besides the command line; none unless it is named. */
export interface IntakeConfiguration {
  /** Where inputs are stored; without it jobs can only name inputs that are there. */
  readonly bridge?: BridgeAccess;
  readonly http?: HttpIntakeConfiguration;
  readonly directory?: DirectoryIntakeConfiguration;
}

export interface HttpIntakeConfiguration {
  /** On 127.0.0.1; 0 for any free one. */
  readonly port: number;
  /** Lines of an owner and the SHA-256 of a token, in hex. */
  readonly tokensFile: string;
  /** Names that the `Host` field may have besides those of this machine itself, as a proxy in front sends them. */
  readonly names?: readonly string[];
}

export interface DirectoryIntakeConfiguration {
  /** Absolute; `incoming`, `working`, `accepted` and `refused` are made in it. */
  readonly path: string;
}

const MAX_PORT = 65_535;

/** Throws `INVALID_CONFIGURATION` naming what is wrong. */
export function checkIntake({ bridge, http, directory }: IntakeConfiguration): void {
  if (http !== undefined && !(Number.isInteger(http.port) && http.port >= 0 && http.port <= MAX_PORT))
    throw wrong(`intake.http.port is a whole number up to ${MAX_PORT}`);
  if (http !== undefined && !isAbsolute(http.tokensFile))
    throw wrong('intake.http.tokensFile is an absolute path');
  if (directory !== undefined && !isAbsolute(directory.path))
    throw wrong('intake.directory.path is an absolute path');
  if (bridge !== undefined && !/^https?:\/\/[^/]+$/.test(bridge.url))
    throw wrong('intake.bridge.url is http:// or https:// with host and port, and no path');
}

function isAbsolute(path: unknown): boolean {
  return typeof path === 'string' && path.startsWith('/');
}

function wrong(message: string): CoPilotError {
  return new CoPilotError('INVALID_CONFIGURATION', message);
}
