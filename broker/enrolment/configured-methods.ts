import type { Runtime } from '../../protocol/runtime/runtime.ts';
import type { EnrolmentMethods } from './methods.ts';
import { getJson } from './oidc/get-json.ts';
import { createOidcMethod, type OidcProviderConfiguration } from './oidc/oidc-method.ts';

/** Ways to enrol beside one-use codes; each is offered where it is configured. */
export interface EnrolmentConfiguration {
  readonly oidc: readonly OidcProviderConfiguration[];
}

export function configuredMethods({ oidc }: EnrolmentConfiguration, runtime: Runtime): EnrolmentMethods {
  return { ...(oidc.length > 0 && { oidc: createOidcMethod(oidc, runtime, getJson) }) };
}
