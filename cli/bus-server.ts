import type { Installation } from './installation.ts';
import type { PrivateServer } from './private-server.ts';

/** A bus server that can be set up for an installation and, on one machine, started for it. */
export interface BusServer {
  /** Throws `UNREACHABLE` with the line that installs it, where its programs are not on this machine. */
  find(): void;
  /** Ports that one of its own listens on; the first is the bus. */
  readonly portNames: readonly string[];
  /** What an installation is told of a server of its own with these ports. */
  settings(ports: Ports): readonly string[];
  /** What the server runs with, its files in `directory`. Throws `INVALID_CONFIGURATION` where the installation has another bus. */
  files(installation: Installation, directory: string): Readonly<Record<string, string>>;
  /** Makes of the files, once they are written, what the server needs besides, and returns where that is. */
  complete?(directory: string): Promise<readonly string[]>;
  /** Starts it with these files in `directory`, and resolves once it listens. Throws `PORT_TAKEN` where another program does. */
  start(directory: string, ports: Ports, files: Readonly<Record<string, string>>): Promise<PrivateServer>;
}

export type Ports = Readonly<Record<string, number>>;
