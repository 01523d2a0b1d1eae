import { createHash } from 'node:crypto';
import type { BoincAccountRow } from '../../broker/enrolment/boinc/memory-boinc-project.ts';
import type { BoincHost } from '../../broker/enrolment/boinc/boinc-project.ts';

/** A project of volunteers, as rows of BOINC's tables. */
export interface BoincRows {
  readonly users: ReadonlyMap<number, BoincAccountRow>;
  readonly hosts: ReadonlyMap<number, BoincHost>;
}

const BANNED_FOR_LONG = 2_000_000_000;
const host = (user: number, sequence = 7, maxResultsDay = 10): BoincHost => ({
  user,
  sequence,
  maxResultsDay,
});

/** 4711 is a volunteer with hosts of every kind; the others are users of other kinds. */
export const BOINC_ROWS: BoincRows = {
  users: new Map([
    [4711, { authenticator: '0123456789abcdef0123456789abcdef', passwordHash: '$2y$10$abcdefghijk' }],
    [4712, { authenticator: 'ffffffffffffffff0000000000000000', passwordHash: '' }],
    [
      4713,
      {
        authenticator: 'aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb',
        passwordHash: 'x',
        banishedUntil: BANNED_FOR_LONG,
      },
    ],
    [4714, { authenticator: 'cccccccccccccccccccccccccccccccc', passwordHash: 'x', banishedUntil: 1000 }],
    // What is left of a user who was deleted: anybody could make its weak authenticator.
    [4715, { authenticator: '', passwordHash: '' }],
  ]),
  hosts: new Map([
    [90, host(4711)],
    [91, host(0, 92)],
    [92, host(0, 90)],
    [93, host(4711, 7, -1)],
    [94, host(4712)],
    [95, host(0, 95)],
    [96, host(0, 94)],
    [97, host(0, 4_000)],
  ]),
};

/** BOINC's tables in BOINC's shape, without the columns that say nothing here. */
export function boincStatements({ users, hosts }: BoincRows): readonly string[] {
  return [
    `CREATE TABLE user (id integer not null auto_increment, create_time integer not null, email_addr varchar(191) not null,
      name varchar(191), authenticator varchar(191), country varchar(254), total_credit double not null, teamid integer not null,
      send_email smallint not null, cross_project_id varchar(191) not null, passwd_hash varchar(254) not null,
      email_validated smallint not null, login_token char(32) not null default '', primary key (id)) engine=InnoDB`,
    'ALTER TABLE user ADD UNIQUE user_email (email_addr), ADD UNIQUE user_auth (authenticator), ADD UNIQUE user_name (name)',
    `CREATE TABLE host (id integer not null auto_increment, create_time integer not null, userid integer not null,
      rpc_seqno integer not null, rpc_time integer not null, domain_name varchar(254), last_ip_addr varchar(254),
      host_cpid varchar(254), max_results_day integer not null, primary key (id)) engine=InnoDB`,
    `CREATE TABLE forum_preferences (userid integer not null default 0, signature varchar(254) not null default '',
      banished_until integer not null default 0, primary key (userid)) engine=MyISAM`,
    ...[...users].flatMap(([id, { authenticator, passwordHash, banishedUntil }]) => [
      `INSERT INTO user (id, create_time, email_addr, name, authenticator, total_credit, teamid, send_email, cross_project_id, passwd_hash, email_validated)
        VALUES (${id}, 1, 'u${id}@example.org', 'Volunteer ${id}', '${authenticator}', 0, 0, 0, 'x', '${passwordHash}', 1)`,
      ...(banishedUntil === undefined
        ? []
        : [`INSERT INTO forum_preferences (userid, banished_until) VALUES (${id}, ${banishedUntil})`]),
    ]),
    ...[...hosts].map(
      ([id, { user, sequence, maxResultsDay }]) =>
        `INSERT INTO host (id, create_time, userid, rpc_seqno, rpc_time, max_results_day) VALUES (${id}, 1, ${user}, ${sequence}, 1, ${maxResultsDay})`,
    ),
  ];
}

export function weakAuthenticator(id: number, { authenticator, passwordHash }: BoincAccountRow): string {
  return `${id}_${createHash('md5')
    .update(authenticator + passwordHash)
    .digest('hex')}`;
}
