import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import common from '../../../protocol/schemas/common.schema.json' with { type: 'json' };
import { MAX_POSTED_JOBS } from './queued-job.ts';
import { MAX_CAMPAIGN_PAGE } from './queue-campaigns.ts';
import { MAX_PAGE } from './queue-view.ts';

/** Most jobs that one request cancels; a client goes on from where the answer says. */
export const MAX_CANCELLED_AT_ONCE = 500;

const name = { $ref: 'common.schema.json#/$defs/name' };
const jobId = { $ref: 'common.schema.json#/$defs/jobId' };
const state = { enum: ['pending', 'handed', 'accepted', 'running', 'finished', 'failed', 'cancelled'] };

const postedJob = {
  type: 'object',
  properties: {
    label: { type: 'string', maxLength: 256, pattern: '^[ -~]*$' },
    priority: { type: 'integer', minimum: -1000, maximum: 1000 },
    retries: { type: 'integer', minimum: 0, maximum: 100 },
    description: { $ref: 'common.schema.json#/$defs/description' },
  },
  required: ['label', 'priority', 'retries', 'description'],
  additionalProperties: false,
};

/** What the control interface takes, by route. */
export const CONTROL_SCHEMAS = {
  submission: {
    type: 'object',
    properties: {
      key: { type: 'string', minLength: 1, maxLength: 128, pattern: '^[!-~]+$' },
      queue: name,
      campaign: name,
      owner: name,
      jobs: { type: 'array', items: postedJob, minItems: 1, maxItems: MAX_POSTED_JOBS },
    },
    required: ['key', 'queue', 'campaign', 'owner', 'jobs'],
    additionalProperties: false,
  },
  filter: {
    type: 'object',
    properties: {
      campaign: name,
      state,
      after: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
      limit: { type: 'integer', minimum: 1, maximum: MAX_PAGE },
    },
    additionalProperties: false,
  },
  follow: { type: 'object', properties: { campaign: name }, additionalProperties: false },
  campaigns: {
    type: 'object',
    properties: {
      after: { anyOf: [{ const: '' }, name] },
      limit: { type: 'integer', minimum: 1, maximum: MAX_CAMPAIGN_PAGE },
    },
    additionalProperties: false,
  },
  cancelCampaign: {
    type: 'object',
    properties: { state, after: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } },
    required: ['after'],
    additionalProperties: false,
  },
  job: { type: 'object', properties: { job: jobId }, required: ['job'], additionalProperties: false },
  campaign: {
    type: 'object',
    properties: { campaign: name },
    required: ['campaign'],
    additionalProperties: false,
  },
} as const;

/** Compiles a route's schema. Query texts become numbers where the schema wants numbers; bodies are taken as they are. */
export function controlValidator(schema: object, part: string | undefined): ValidateFunction {
  return (part === 'querystring' ? lenient : strict).compile(schema);
}

const strict = createAjv(false);
const lenient = createAjv(true);

function createAjv(coerceTypes: boolean): Ajv2020 {
  // "strictTypes" asks for a type beside every keyword, which `$ref` schemas of the contract state elsewhere.
  const ajv = new Ajv2020({ strict: true, strictTypes: false, coerceTypes, allErrors: false });
  ajv.addSchema(common);
  return ajv;
}
