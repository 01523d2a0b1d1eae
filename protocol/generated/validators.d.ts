// Generated from protocol/schemas by `npm run generate`; do not edit.
import type * as types from './types.ts';
export interface Validator<T> {
  (value: unknown): value is T;
  readonly errors?: readonly { readonly instancePath: string; readonly message?: string; readonly keyword: string; readonly params: Readonly<Record<string, unknown>> }[] | null;
}
export const isAgentHello: Validator<types.AgentHello>;
export const isAnswers: Validator<types.Answers>;
export const isAsk: Validator<types.Ask>;
export const isBrokerHello: Validator<types.BrokerHello>;
export const isCall: Validator<types.Call>;
export const isCalled: Validator<types.Called>;
export const isCapabilities: Validator<types.Capabilities>;
export const isCertificate: Validator<types.Certificate>;
export const isError: Validator<types.Error>;
export const isFarewell: Validator<types.Farewell>;
export const isGrant: Validator<types.Grant>;
export const isIdentity: Validator<types.Identity>;
export const isJob: Validator<types.Job>;
export const isNone: Validator<types.None>;
export const isNotice: Validator<types.Notice>;
export const isOutputs: Validator<types.Outputs>;
export const isParted: Validator<types.Parted>;
export const isParts: Validator<types.Parts>;
export const isRelease: Validator<types.Release>;
export const isReleased: Validator<types.Released>;
export const isRenew: Validator<types.Renew>;
export const isRenewed: Validator<types.Renewed>;
export const isReport: Validator<types.Report>;
export const isReported: Validator<types.Reported>;
export const isRequest: Validator<types.Request>;
export const isServiceHello: Validator<types.ServiceHello>;
export const isServiceWelcome: Validator<types.ServiceWelcome>;
export const isWelcome: Validator<types.Welcome>;
