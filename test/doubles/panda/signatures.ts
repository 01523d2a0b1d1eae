/** Arguments of the methods of PanDA's API v1, in order: name, type, and the default where it is not None. */
export type ArgumentType = 'int' | 'str' | 'bool' | 'number' | 'ints' | 'dicts' | 'any';

export interface Argument {
  readonly name: string;
  readonly type: ArgumentType;
  readonly isRequired: boolean;
  /** What it is without a value; null is Python's None. */
  readonly fallback: string | number | boolean | null;
}

export interface Signature {
  readonly isSecure: boolean;
  readonly needsProduction: boolean;
  readonly method: 'GET' | 'POST';
  readonly arguments: readonly Argument[];
}

const need = (type: ArgumentType, ...names: readonly string[]): readonly Argument[] =>
  names.map((name) => ({ name, type, isRequired: true, fallback: null }));
const may = (type: ArgumentType, ...names: readonly string[]): readonly Argument[] =>
  names.map((name) => ({ name, type, isRequired: false, fallback: null }));
const by = (name: string, type: ArgumentType, fallback: string | number | boolean): Argument => ({
  name,
  type,
  isRequired: false,
  fallback,
});
const signature = (
  method: 'GET' | 'POST',
  role: 'anyone' | 'secure' | 'production',
  ...lists: readonly (readonly Argument[])[]
): Signature => ({
  isSecure: role !== 'anyone',
  needsProduction: role === 'production',
  method,
  arguments: lists.flat(),
});

const timeout = (seconds: number): readonly Argument[] => [by('timeout', 'int', seconds)];

const UPDATE_JOB = signature(
  'POST',
  'production',
  need('int', 'job_id'),
  need('str', 'job_status'),
  [by('job_output_report', 'str', ''), by('pilot_log', 'str', ''), by('meta_data', 'str', '')],
  [by('stdout', 'str', '')],
  may('int', 'cpu_consumption_time', 'trans_exit_code', 'pilot_error_code', 'exe_error_code', 'n_events'),
  may('int', 'n_input_files', 'attempt_nr', 'core_count', 'mean_core_count'),
  may('str', 'node', 'cpu_consumption_unit', 'scheduler_id', 'pilot_id', 'site_name', 'pilot_error_diag'),
  may('str', 'exe_error_diag', 'pilot_timing', 'start_time', 'end_time', 'batch_id', 'job_metrics'),
  may('str', 'job_sub_status', 'corrupted_files', 'cpu_architecture_level', 'grid', 'source_site'),
  may('str', 'destination_site'),
  may('number', 'cpu_conversion_factor', 'max_rss', 'max_vmem', 'max_swap', 'max_pss'),
  may('number', 'avg_rss', 'avg_vmem', 'avg_swap', 'avg_pss'),
  may('number', 'tot_rchar', 'tot_wchar', 'tot_rbytes', 'tot_wbytes'),
  may('number', 'rate_rchar', 'rate_wchar', 'rate_rbytes', 'rate_wbytes'),
  timeout(60),
);

/** By module and method. What is not here is forbidden. */
export const SIGNATURES: Readonly<Record<string, Signature>> = {
  'pilot/acquire_jobs': signature(
    'POST',
    'secure',
    need('str', 'site_name'),
    timeout(60),
    may('int', 'memory', 'disk_space', 'task_id', 'worker_id', 'remaining_time'),
    may('str', 'prod_source_label', 'node', 'computing_element', 'prod_user_id', 'get_proxy_key'),
    may('str', 'resource_type', 'harvester_id', 'scheduler_id', 'job_type'),
    may('bool', 'background', 'via_topic'),
    [by('n_jobs', 'int', 1)],
  ),
  'pilot/get_job_status': signature('GET', 'secure', need('ints', 'job_ids'), timeout(60)),
  'pilot/update_job': UPDATE_JOB,
  'pilot/update_jobs_bulk': signature(
    'POST',
    'production',
    need('dicts', 'job_list'),
    may('str', 'harvester_id'),
  ),
  'pilot/update_worker_status': signature(
    'POST',
    'production',
    need('any', 'worker_id', 'harvester_id', 'status'),
    timeout(60),
    may('any', 'node_id'),
  ),
  'pilot/update_worker_node': signature(
    'POST',
    'production',
    need('str', 'site', 'host_name', 'cpu_model'),
    may('str', 'panda_queue', 'cpu_architecture', 'cpu_architecture_level'),
    may('int', 'n_logical_cpus', 'n_sockets', 'cores_per_socket', 'threads_per_core'),
    may('int', 'total_memory', 'total_local_disk'),
    may('number', 'clock_speed'),
    timeout(60),
  ),
  'event/acquire_event_ranges': signature(
    'POST',
    'production',
    need('int', 'job_id', 'jobset_id'),
    may('int', 'task_id'),
    [by('n_ranges', 'int', 10)],
    timeout(60),
    [by('scattered', 'bool', false)],
    may('int', 'segment_id'),
  ),
  'event/update_event_ranges': signature('POST', 'production', need('str', 'event_ranges'), timeout(120), [
    by('version', 'int', 0),
  ]),
  'event/update_single_event_range': signature(
    'POST',
    'production',
    need('str', 'event_range_id', 'event_range_status'),
    may('int', 'core_count', 'object_store_id'),
    may('number', 'cpu_consumption_time'),
    timeout(60),
  ),
  'event/get_available_event_range_count': signature(
    'GET',
    'production',
    need('int', 'job_id', 'jobset_id', 'task_id'),
    timeout(60),
  ),
  'event/get_event_range_statuses': signature('GET', 'secure', need('str', 'job_task_ids')),
  'creds/get_token_key': signature('GET', 'secure', need('str', 'client_name')),
  'creds/get_access_token': signature('GET', 'secure', need('str', 'client_name'), may('str', 'token_key')),
  'job/submit': signature('POST', 'secure', need('str', 'jobs')),
  'job/kill': signature(
    'POST',
    'secure',
    need('ints', 'job_ids'),
    may('int', 'code'),
    may('bool', 'use_email_as_id'),
    may('any', 'kill_options'),
  ),
  'job/set_command': signature('POST', 'production', need('int', 'job_id'), need('str', 'command')),
  'job/get_status': signature('GET', 'anyone', need('ints', 'job_ids'), timeout(60)),
  'system/is_alive': signature('GET', 'anyone'),
  'system/get_user_attributes': signature('GET', 'secure'),
  'metaconfig/get_resource_types': signature('GET', 'anyone'),
};

export const UPDATE_JOB_SIGNATURE = UPDATE_JOB;
