import type { Part, Parts } from '../../protocol/generated/types.ts';
import { parseJson } from '../../protocol/parse-json.ts';
import { plainReply } from './pilot-exchange.ts';
import type { PilotReply, PilotRequest } from './pilot-exchange.ts';
import { decodeFields, fieldOf, itemsOf } from './request-fields.ts';

/** Parts to take or finish, and how the answer is said; `ids` may be empty, and then there is nobody to tell. */
export interface PartsQuestion {
  readonly verb: Parts['verb'];
  readonly ids: readonly string[];
  readonly reply: (parts: readonly Part[]) => PilotReply;
}

const PART_ID = /^[!-~]{1,128}$/;
const MAX_PARTS = 64;
const JSON_TYPE = 'application/json';

/** `/v1/parts/take` and `/v1/parts/finish`, for any payload. Undefined where it is neither, or says nothing that can be asked. */
export function plainParts({ verb, target, body }: PilotRequest): PartsQuestion | undefined {
  if (verb !== 'POST') return undefined;
  const jsonReply = (parts: readonly Part[]): PilotReply => json({ parts });
  if (target === '/v1/parts/take') return { verb: 'take', ids: [], reply: jsonReply };
  if (target !== '/v1/parts/finish') return undefined;
  const ids = itemsOf(fieldOf(parseJson(body.toString()), 'parts'));
  return ids.length > 0 && ids.length <= MAX_PARTS && ids.every(isId)
    ? { verb: 'finish', ids, reply: jsonReply }
    : undefined;
}

/** PanDA's event service, as pilots speak it. Undefined where the method is none of it, or says nothing that can be asked. */
export function pandaParts(method: string, request: PilotRequest): PartsQuestion | undefined {
  const fields = decodeFields(request) ?? {};
  switch (method) {
    case 'getEventRanges':
      return { verb: 'take', ids: [], reply: (parts) => legacy(request, rangesReply(parts)) };
    case 'updateEventRange':
      return finishing([fields], () => legacy(request, { StatusCode: 0, Command: 'NULL' }));
    case 'updateEventRanges': {
      const said = fields['eventRanges'];
      const items = rangesIn(typeof said === 'string' ? parseJson(said) : said);
      const reply = {
        StatusCode: 0,
        Returns: items.map((item) => (isFinished(item) ? true : null)),
        Command: {},
      };
      return finishing(items, () => legacy(request, reply));
    }
    default:
      return undefined;
  }
}

/** Of what a pilot says of ranges only that one is finished is passed on: any other is the framework's again when the attempt is over. */
function finishing(items: readonly unknown[], reply: () => PilotReply): PartsQuestion | undefined {
  const ids = items.filter(isFinished).map((item) => fieldOf(item, 'eventRangeID'));
  return ids.length <= MAX_PARTS && ids.every(isId) ? { verb: 'finish', ids, reply } : undefined;
}

/** One by one, or in groups that went into one archive. */
function rangesIn(value: unknown): readonly unknown[] {
  return itemsOf(value).flatMap((item) => {
    const group = fieldOf(item, 'eventRanges');
    return group === undefined ? [item] : itemsOf(group);
  });
}

function isFinished(item: unknown): boolean {
  return fieldOf(item, 'eventStatus') === 'finished';
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && PART_ID.test(value);
}

function rangesReply(parts: readonly Part[]): Readonly<Record<string, unknown>> {
  return { StatusCode: 0, eventRanges: parts.map(({ body }) => parseJson(body)) };
}

/** JSON where `Accept` contains it; otherwise a form, in which what is no text is JSON. */
function legacy({ accept }: PilotRequest, fields: Readonly<Record<string, unknown>>): PilotReply {
  if (accept.includes(JSON_TYPE)) return json(fields);
  const texts = Object.entries(fields).map(([name, value]): [string, string] => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  return plainReply(200, new URLSearchParams(texts).toString());
}

function json(value: object): PilotReply {
  return { status: 200, contentType: JSON_TYPE, body: Buffer.from(JSON.stringify(value)) };
}
