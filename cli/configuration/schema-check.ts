import { createSchemaCheck } from '../campaign/schema-problems.ts';
import schema from './configuration.schema.json' with { type: 'json' };

/** What of the settings is not as the schema says. Compiled when this file is loaded, which takes a tenth of a second. */
export const configurationProblems = createSchemaCheck(schema);
