import {
  type Campaign,
  type InputFile,
  type JobSpec,
  MAX_INLINE_BYTES,
  MAX_TOTAL_DESCRIPTION_BYTES,
} from './campaign.ts';
import { type BuiltJob, createJobBuilder, type JobFault } from './job-builder.ts';
import { fieldText, invalidCampaign } from './problem.ts';

/** A file that must be in the storage before the jobs that name it. */
export type Upload =
  | { readonly kind: 'file'; readonly sha256: string; readonly size: number; readonly path: string }
  | { readonly kind: 'content'; readonly sha256: string; readonly size: number; readonly content: string };

/** Every job of a campaign, the last parameter changing fastest. Throws `INVALID_CAMPAIGN` where a job would be over a bound. */
export function expand(campaign: Campaign): readonly JobSpec[] {
  const jobs: JobSpec[] = [];
  for (const { spec, faults } of builtJobs(campaign)) {
    if (faults.length > 0) throw faulty(campaign, faults);
    jobs.push(spec);
  }
  return jobs;
}

/** The faults of all jobs, the first of each place. */
export function expansionFaults(campaign: Campaign): readonly JobFault[] {
  const faults = new Map<string, JobFault>();
  for (const built of builtJobs(campaign)) {
    for (const fault of built.faults) {
      const key = fieldText(fault.path);
      if (!faults.has(key)) faults.set(key, fault);
    }
  }
  return [...faults.values()];
}

/** What the jobs need uploaded, each content once. */
export function uploadsOf(campaign: Campaign, jobs: readonly JobSpec[]): readonly Upload[] {
  const uploads = new Map<string, Upload>();
  for (const { sha256, size, path } of campaign.inputs.filter(isFile)) {
    uploads.set(sha256, { kind: 'file', sha256, size, path });
  }
  for (const { sha256, content } of jobs.flatMap((job) => job.contents)) {
    const size = Buffer.byteLength(content);
    if (!uploads.has(sha256)) uploads.set(sha256, { kind: 'content', sha256, size, content });
  }
  return [...uploads.values()];
}

/** Stops with a fault where all jobs together are over a bound, so that a short file never fills the memory. */
function* builtJobs(campaign: Campaign): Generator<BuiltJob> {
  const build = createJobBuilder(campaign);
  let inlineBytes = 0;
  let descriptionBytes = 0;
  for (const values of combinations(campaign)) {
    const built = build(values);
    inlineBytes += built.spec.contents.reduce((sum, { content }) => sum + content.length, 0);
    descriptionBytes += built.descriptionBytes;
    const fault = totalFault(inlineBytes, descriptionBytes);
    if (fault === undefined) yield built;
    else {
      yield { ...built, faults: [...built.faults, fault] };
      return;
    }
  }
}

function totalFault(inlineBytes: number, descriptionBytes: number): JobFault | undefined {
  if (inlineBytes > MAX_INLINE_BYTES) {
    return {
      path: ['inputs'],
      message: `inline content of all jobs is over ${MAX_INLINE_BYTES} bytes; use files`,
    };
  }
  if (descriptionBytes <= MAX_TOTAL_DESCRIPTION_BYTES) return undefined;
  return {
    path: [],
    message: `all jobs together are over ${MAX_TOTAL_DESCRIPTION_BYTES} bytes; split the file`,
  };
}

function* combinations({ parameters }: Campaign): Generator<ReadonlyMap<string, string>> {
  const total = parameters.reduce((product, { values }) => product * values.length, 1);
  for (let index = 0; index < total; index++) {
    let rest = index;
    const reversed: (readonly [string, string])[] = [];
    for (const { name, values } of parameters.toReversed()) {
      reversed.push([name, values[rest % values.length] ?? '']);
      rest = Math.floor(rest / values.length);
    }
    yield new Map(reversed.reverse());
  }
}

function isFile(input: Campaign['inputs'][number]): input is InputFile {
  return input.kind === 'file';
}

function faulty(campaign: Campaign, faults: readonly JobFault[]): Error {
  const problems = faults.map(({ path, message }) => ({
    line: 1,
    column: 1,
    field: fieldText(path),
    message,
  }));
  return invalidCampaign(campaign.file, problems);
}
