import { RestError } from './rest-error.ts';

const NUMBER = /^[-+]?[0-9]{1,15}$/;

/**
 * Parameters of a call, from its query and its form; lists are repeated keys. As WMCore does, whatever was sent and not asked for by
 * the API is refused: call `end` when all are read.
 */
export interface Form {
  /** Throws `MissingParameter` or `InvalidParameter`. */
  text(name: string, pattern?: RegExp): string;
  optional(name: string, pattern?: RegExp): string | undefined;
  number(name: string): number;
  optionalNumber(name: string): number | undefined;
  list(name: string): readonly string[];
  end(): void;
}

export function createForm(parameters: URLSearchParams): Form {
  const read = new Set<string>();
  const one = (name: string, pattern: RegExp): string | undefined => {
    read.add(name);
    const values = parameters.getAll(name);
    if (values.length > 1) throw new RestError('InvalidParameter', `Multiple values for parameter '${name}'`);
    const [value] = values;
    if (value !== undefined && !pattern.test(value))
      throw new RestError('InvalidParameter', `Incorrect '${name}' parameter`);
    return value;
  };
  const needed = <T>(name: string, value: T | undefined): T => {
    if (value === undefined) throw new RestError('MissingParameter', `Missing parameter '${name}'`);
    return value;
  };
  const any = /^[^\0]*$/s;
  const form: Form = {
    text: (name, pattern = any) => needed(name, one(name, pattern)),
    optional: (name, pattern = any) => one(name, pattern),
    number: (name) => needed(name, form.optionalNumber(name)),
    optionalNumber(name) {
      const value = one(name, NUMBER);
      return value === undefined ? undefined : Number(value);
    },
    list(name) {
      read.add(name);
      return parameters.getAll(name);
    },
    end() {
      const excess = [...parameters.keys()].filter((name) => !read.has(name));
      if (excess.length > 0)
        throw new RestError(
          'InvalidParameter',
          `Excess keyword arguments not validated: ${excess.join(', ')}`,
        );
    },
  };
  return form;
}
