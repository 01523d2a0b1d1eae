/** What becomes of an attribute of a job's description; docs/alien.md shows the same table. */
export interface JdlRow {
  readonly attribute: string;
  readonly ours: string;
  /** What counts where it is missing. */
  readonly otherwise: string;
}

/** From AliEn's description of a job to ours. `describe-job.ts` does what it says, and a test holds them together. */
export const JDL_TABLE: readonly JdlRow[] = [
  {
    attribute: 'Executable',
    ours: 'fetched from the catalogue, run in the job directory',
    otherwise: 'ERROR_E',
  },
  {
    attribute: 'Arguments',
    ours: 'words between spaces, one argument each; no shell reads them',
    otherwise: 'none',
  },
  {
    attribute: 'ValidationCommand',
    ours: 'fetched, run after the executable for at most 5 minutes',
    otherwise: 'none',
  },
  {
    attribute: 'InputFile, InputBox',
    ours: 'fetched, in the job directory under their last name',
    otherwise: 'none',
  },
  { attribute: 'InputData', ours: 'fetched like InputFile, except with `,nodownload`', otherwise: 'none' },
  { attribute: 'InputDataCollection', ours: 'the collection itself, like InputData', otherwise: 'none' },
  {
    attribute: 'InputDataList, InputDataListFormat',
    ours: 'a list of the input data, as `txt-list` or `xml-single`',
    otherwise: 'no list',
  },
  {
    attribute: 'OutputDir',
    ours: 'where outputs are registered',
    otherwise: '`alien-job-ID` in the home of the user',
  },
  {
    attribute: 'Output, OutputFile, OutputArchive',
    ours: 'patterns collected by the job, stored by the adapter',
    otherwise: 'one archive of stdout, stderr and resources',
  },
  {
    attribute: 'OutputErrorE',
    ours: 'stored in the recycle bin of the user when the executable fails',
    otherwise: 'nothing is kept',
  },
  { attribute: 'TTL', ours: 'limit of wall time, with 600 s on top', otherwise: '21600 s' },
  { attribute: 'MemorySize', ours: 'limit of memory', otherwise: 'what the host class offers' },
  { attribute: 'WorkDirectorySize', ours: 'limit of disk', otherwise: 'what the host class offers' },
  { attribute: 'CPUCores', ours: '`Cpus >= N` in the requirements', otherwise: '1' },
  { attribute: 'Packages', ours: 'variable ALIEN_PACKAGES; matched by the queue', otherwise: 'none' },
  {
    attribute: 'JDLVariables',
    ours: 'a variable ALIEN_JDL_NAME each, lists joined by `##`',
    otherwise: 'none',
  },
  {
    attribute: 'MasterJobID',
    ours: 'campaign, and variable ALIEN_MASTERJOBID',
    otherwise: 'a campaign of its own',
  },
  { attribute: 'User', ours: 'owner, and variable ALIEN_USER', otherwise: 'whom the queue names' },
  { attribute: 'Requirements', ours: 'matched with the host ad of the class', otherwise: 'fits' },
];
