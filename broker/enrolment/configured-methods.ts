import type { BoincAccount } from '../../protocol/boinc-account.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import { type BoincTerms, createBoincMethod } from './boinc/boinc-method.ts';
import { createMariadbBoincProject, type MariadbPlace } from './boinc/mariadb-boinc-project.ts';
import type { EnrolmentMethod } from './method.ts';
import type { TlsFiles } from '../http/tls-files.ts';
import type { EnrolmentMethods } from './methods.ts';
import { getJson } from './oidc/get-json.ts';
import { createOidcMethod, type OidcProviderConfiguration } from './oidc/oidc-method.ts';
import { createX509Method, type X509Configuration } from './x509/x509-method.ts';

/** Ways to enrol beside one-use codes; each is offered where it is configured. */
export interface EnrolmentConfiguration {
  /** What the enrolment shows of itself; without it, it listens in the clear. */
  readonly tls?: TlsFiles;
  readonly oidc: readonly OidcProviderConfiguration[];
  readonly x509?: X509Configuration;
  readonly boinc?: BoincConfiguration;
  /** Agents of one owner whose identities are alive. */
  readonly agentsPerOwner?: number;
  /** Where other brokers of the installation renew identities. */
  readonly elsewhere?: readonly string[];
}

export const DEFAULT_AGENTS_PER_OWNER = 1_000;

/** A BOINC project whose volunteers enrol with their accounts. */
export interface BoincConfiguration extends BoincTerms {
  readonly place: MariadbPlace;
}

export function configuredMethods(
  { oidc, x509, boinc }: EnrolmentConfiguration,
  runtime: Runtime,
): EnrolmentMethods {
  return {
    ...(oidc.length > 0 && { oidc: createOidcMethod(oidc, runtime, getJson) }),
    ...(x509 && { x509: createX509Method(x509, runtime) }),
    ...(boinc && { boinc: boincMethod(boinc, runtime) }),
  };
}

function boincMethod(
  { place, ...terms }: BoincConfiguration,
  runtime: Runtime,
): EnrolmentMethod<BoincAccount> {
  return createBoincMethod(terms, createMariadbBoincProject({ place, log: runtime.log }), runtime);
}
