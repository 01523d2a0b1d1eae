import type { Runtime } from '../../protocol/runtime/runtime.ts';
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
}

export function configuredMethods(
  { oidc, x509 }: EnrolmentConfiguration,
  runtime: Runtime,
): EnrolmentMethods {
  return {
    ...(oidc.length > 0 && { oidc: createOidcMethod(oidc, runtime, getJson) }),
    ...(x509 && { x509: createX509Method(x509, runtime) }),
  };
}
