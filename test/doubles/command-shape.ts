import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'vitest';
import commandSchemas from '../../cli/schemas/commands.schema.json' with { type: 'json' };
import common from '../../protocol/schemas/common.schema.json' with { type: 'json' };

const ajv = new Ajv2020({ strict: true, strictTypes: false });
ajv.addSchema(common);
ajv.addSchema(commandSchemas);

/** What a command printed has the shape of this name in cli/schemas/commands.schema.json. */
export function expectShape(name: string, value: unknown): void {
  const validate = ajv.getSchema(`commands.schema.json#/$defs/${name}`);
  if (validate === undefined) throw new Error(`commands.schema.json has no ${name}`);
  const isValid = validate(value);
  expect(isValid ? [] : validate.errors, `${name}: ${JSON.stringify(value).slice(0, 2_000)}`).toEqual([]);
}
