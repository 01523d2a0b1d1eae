import type { Clock } from '../../../protocol/runtime/runtime.ts';
import { RestError } from './rest-error.ts';

/** A row of the tasks table, decoded as `workflowdb` gives it. */
export type TaskRow = Record<string, unknown> & {
  tm_taskname: string;
  tm_task_status: string;
  tm_task_command: string;
  tw_name: string;
};

const MONTH_MS = 30 * 86_400_000;

/** Columns of a task that was just submitted, before what its submitter says. */
const DEFAULTS: Readonly<Record<string, unknown>> = {
  tm_start_injection: '',
  tm_end_injection: '',
  tm_task_failure: null,
  tm_job_sw: 'CMSSW_13_0_3',
  tm_job_arch: 'el8_amd64_gcc11',
  tm_job_min_microarch: null,
  tm_input_dataset: null,
  tm_DDM_reqid: null,
  tm_site_whitelist: [],
  tm_site_blacklist: [],
  tm_split_algo: 'EventBased',
  tm_split_args: { events_per_job: 10, halt_job_on_file_boundaries: false, splitOnRun: false },
  tm_totalunits: 10,
  tm_user_sandbox: '',
  tm_debug_files: null,
  tm_cache_url: 'S3',
  tm_username: 'alice',
  tm_user_dn: '/DC=org/DC=example/CN=alice',
  tm_user_vo: 'cms',
  tm_user_role: null,
  tm_user_group: null,
  tm_publish_name: 'study-00000000000000000000000000000000',
  tm_asyncdest: 'T2_CH_CERN',
  tm_dbs_url: 'https://cmsweb.invalid/dbs/prod/global/DBSReader/',
  tm_publish_dbs_url: 'https://cmsweb.invalid/dbs/prod/phys03/DBSWriter/',
  tm_publication: 'F',
  tm_outfiles: [],
  tm_tfile_outfiles: [],
  tm_edm_outfiles: ['out.root'],
  tm_job_type: 'PrivateMC',
  tm_arguments: {},
  tm_save_logs: 'F',
  tm_user_infiles: [],
  tm_maxjobruntime: 1250,
  tm_numcores: 1,
  tm_maxmemory: 2000,
  tm_priority: 10,
  tm_activity: null,
  tm_scriptexe: null,
  tm_scriptargs: [],
  tm_extrajdl: '[]',
  tm_generator: null,
  tm_events_per_lumi: null,
  tm_use_parent: 0,
  tm_collector: 'cmssrv.invalid:9620',
  tm_schedd: null,
  tm_dry_run: 'F',
  tm_user_files: [],
  tm_transfer_outputs: 'T',
  tm_output_lfn: '/store/user/alice/',
  tm_ignore_locality: 'F',
  tm_fail_limit: -1,
  tm_one_event_mode: 'F',
  tm_publish_groupname: 'F',
  tm_nonvalid_input_dataset: 'F',
  tm_secondary_input_dataset: null,
  tm_primary_dataset: 'MinBias',
  tm_submitter_ip_addr: '192.0.2.7',
  tm_ignore_global_blacklist: 'F',
  tm_user_config: {
    partialdataset: false,
    requireaccelerator: false,
    acceleratorparams: null,
    inputblocks: null,
  },
  tw_name: '',
};

/** Columns that other tables of the server keep, and `workflowdb` does not show. */
export interface TaskExtra {
  warnings: string[];
  webdir: string;
  clusterId: string;
  dagStatus: string;
  outputDatasets: readonly string[];
}

export interface TaskTable {
  /** Throws `ObjectAlreadyExists`. */
  insert(name: string, columns: Readonly<Record<string, unknown>>): TaskRow;
  /** Throws `MissingObject`. */
  get(name: string): TaskRow;
  extra(name: string): TaskExtra;
  all(): readonly TaskRow[];
  /** `UPDATE … WHERE status = :get_status AND rownum <= :limit`: nobody's order, none is no error. */
  process(workerName: string, getStatus: string, limit: number, status: string): number;
  /** One row changed, else `MissingObject`. */
  update(name: string, columns: Readonly<Record<string, unknown>>): void;
  /** `tw_name LIKE`, begun within `months`, oldest first, at most `limit`. */
  select(workerName: string, getStatus: string, limit: number, months: number): readonly TaskRow[];
}

export function createTaskTable(clock: Clock): TaskTable {
  const rows = new Map<string, TaskRow>();
  const extras = new Map<string, TaskExtra>();

  const get = (name: string): TaskRow => {
    const row = rows.get(name);
    if (row === undefined) throw new RestError('MissingObject', `Workflow ${name} not found`);
    return row;
  };
  return {
    insert(name, columns) {
      if (rows.has(name)) throw new RestError('ObjectAlreadyExists', `Task ${name} is there already`);
      const row: TaskRow = {
        ...DEFAULTS,
        tm_taskname: name,
        tm_task_status: 'WAITING',
        tm_task_command: 'SUBMIT',
        tw_name: '',
        tm_start_time: String(Math.floor(clock.wallMs() / 1000)),
        ...columns,
      };
      rows.set(name, row);
      extras.set(name, { warnings: [], webdir: '', clusterId: '', dagStatus: '', outputDatasets: [] });
      return row;
    },
    get,
    extra(name) {
      get(name);
      const extra = extras.get(name);
      if (extra === undefined) throw new RestError('MissingObject', `Workflow ${name} not found`);
      return extra;
    },
    all: () => [...rows.values()],
    process(workerName, getStatus, limit, status) {
      // From the end: whoever relies on an order finds out.
      const found = [...rows.values()].toReversed().filter((row) => row.tm_task_status === getStatus);
      const chosen = found.slice(0, limit);
      for (const row of chosen) {
        row.tw_name = workerName;
        row.tm_task_status = status;
      }
      return chosen.length;
    },
    update(name, columns) {
      Object.assign(get(name), columns);
    },
    select(workerName, getStatus, limit, months) {
      const isNamed = like(workerName);
      const sinceSeconds = (clock.wallMs() - months * MONTH_MS) / 1000;
      return [...rows.values()]
        .filter(
          (row) =>
            row.tm_task_status === getStatus &&
            isNamed(row.tw_name) &&
            Number(row['tm_start_time']) >= sinceSeconds,
        )
        .toSorted((one, other) => Number(one['tm_start_time']) - Number(other['tm_start_time']))
        .slice(0, limit);
    },
  };
}

/** SQL's LIKE with `%` alone, without a regular expression. */
function like(pattern: string): (text: string) => boolean {
  const parts = pattern.split('%');
  return (text) => {
    const first = parts[0] ?? '';
    const last = parts.at(-1) ?? '';
    if (parts.length === 1) return text === pattern;
    if (!text.startsWith(first) || !text.endsWith(last)) return false;
    let at = first.length;
    for (const part of parts.slice(1, -1)) {
      const found = text.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return at <= text.length - last.length;
  };
}
