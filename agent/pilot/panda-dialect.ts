import { gzipSync } from 'node:zlib';
import { pandaParts } from './parts-requests.ts';
import type { PartsQuestion } from './parts-requests.ts';
import { plainReply } from './pilot-exchange.ts';
import type { PilotReply, PilotRequest } from './pilot-exchange.ts';

/** What becomes of a request: a question about parts or to the adapter, or an answer from here. */
export type Routed =
  | { readonly kind: 'parts'; readonly question: PartsQuestion }
  | { readonly kind: 'ask'; readonly method: string; readonly request: PilotRequest }
  | { readonly kind: 'answer'; readonly reply: PilotReply };

/** What the adapter is asked (PanDA server, legacy dialect). */
const ASKED = new Set(['getJob', 'updateJob', 'getStatus', 'updateWorkerPilotStatus', 'getResourceTypes']);
const JSON_TYPE = 'application/json';
const FORM_TYPE = 'application/x-www-form-urlencoded';
/** A token that opens nothing: a pilot that uses tokens needs one to send. */
export const DUMMY_TOKEN = 'co-pilot-token-that-opens-nothing';

/**
 * Where a request of a PanDA pilot goes, by its path: `/server/panda/<method>` or `/api/v1/pilot/<method>`. Credentials in its headers
 * are not looked at: whoever may ask at all was decided when it connected.
 */
export function routePanda(request: PilotRequest, hasParts: boolean): Routed {
  const [path = '', query = ''] = request.target.split('?', 2);
  const method = methodOf(path);
  const isAnyVerb = request.verb === 'GET' || request.verb === 'POST';
  if (method === undefined || !isAnyVerb) return answer(forbidden(path));
  if (method === 'get_access_token') return answer(tokenReply());
  if (method === 'update_worker_node') return answer(inventoryReply(request));
  const said = normalised(request, query);
  if (ASKED.has(method)) return { kind: 'ask', method, request: said };
  const question = hasParts ? pandaParts(method, said) : undefined;
  return question === undefined ? answer(forbidden(path)) : { kind: 'parts', question };
}

function answer(reply: PilotReply): Routed {
  return { kind: 'answer', reply };
}

function methodOf(path: string): string | undefined {
  return /^\/(?:server\/panda|api\/(?:v1|latest)\/pilot)\/([A-Za-z_]{1,64})$/.exec(path)?.[1];
}

/** What PanDA says of a method that it does not have, or not here. */
export function forbidden(path: string): PilotReply {
  const name =
    path
      .split('/')
      .at(-1)
      ?.replace(/[^\w.-]/g, '') ?? '';
  return plainReply(403, `ERROR : method ${name.slice(0, 64)} is forbidden`);
}

/** Read by the pilot as a Python literal, in which JSON's true, false and null mean nothing. */
function tokenReply(): PilotReply {
  return plainReply(200, `{"StatusCode": 0, "errorDialog": "", "userProxy": "${DUMMY_TOKEN}"}`);
}

/** The machine's inventory is no business of a framework that does not own it: taken, and not passed on. */
function inventoryReply({ contentType, accept }: PilotRequest): PilotReply {
  const isJson = contentType === JSON_TYPE || accept === JSON_TYPE;
  return plainReply(
    200,
    isJson
      ? '{"success": true, "message": "", "data": null}'
      : "{'success': True, 'message': '', 'data': None}",
  );
}

/** As the legacy dialect has it: JSON always under gzip, everything else a form, a query in its place where there is no body. */
function normalised(request: PilotRequest, query: string): PilotRequest {
  const { contentType, body } = request;
  if (request.verb === 'GET' || (body.length === 0 && query !== ''))
    return { ...request, contentType: FORM_TYPE, body: Buffer.from(query) };
  if (contentType !== JSON_TYPE) return { ...request, contentType: FORM_TYPE };
  return isGzip(body) ? request : { ...request, body: gzipSync(body) };
}

function isGzip(body: Buffer): boolean {
  return body[0] === 0x1f && body[1] === 0x8b;
}
