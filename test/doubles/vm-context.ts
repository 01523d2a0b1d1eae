/** What BOINC tells a virtual machine of the volunteer. */
export interface ToldAccount {
  readonly user: number;
  readonly authenticator: string;
  readonly host?: number;
  readonly userName?: string;
  readonly installation?: string;
}

/** With `enable_cern_dataformat`: lines in the wrapper's own order, names as they are. */
export function vmLines({
  user,
  authenticator,
  host,
  userName = 'A Volunteer',
  installation,
}: ToldAccount): string {
  const lines = [
    `BOINC_USERNAME=${userName}`,
    `BOINC_AUTHENTICATOR=${authenticator}`,
    `BOINC_USERID=${user}`,
    `BOINC_HOSTID=${host ?? 0}`,
    'BOINC_USER_TOTAL_CREDIT=1234.5678901234567',
    'BOINC_HOST_TOTAL_CREDIT=0',
    ...(installation === undefined ? [] : [`COPILOT_INSTALLATION=${installation}`]),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** `init_data.xml` in BOINC's shape. */
export function initData({ user, authenticator, host, userName = 'A Volunteer' }: ToldAccount): string {
  const name = userName.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<app_init_data>
<major_version>8</major_version>
<minor_version>0</minor_version>
<release>2</release>
<app_version>7150</app_version>
<userid>${user}</userid>
<teamid>0</teamid>
<hostid>${host ?? 0}</hostid>
<app_name>CMS</app_name>
<project_preferences>
<max_jobs>1</max_jobs>
</project_preferences>
<user_name>${name}</user_name>
<project_dir>/var/lib/boinc-client/projects/boinc.example.org</project_dir>
<authenticator>${authenticator}</authenticator>
<wu_name>CMS_1</wu_name>
<slot>0</slot>
<host_info>
    <domain_name>home</domain_name>
    <p_vendor>GenuineIntel</p_vendor>
</host_info>
<global_preferences>
   <run_on_batteries>1</run_on_batteries>
</global_preferences>
</app_init_data>
`;
}
