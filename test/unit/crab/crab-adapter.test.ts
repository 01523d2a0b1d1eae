import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newJobFault } from '../../../adapters/jobs/new-job.ts';
import { RestError } from '../../doubles/crab/rest-error.ts';
import type { Form } from '../../doubles/crab/form.ts';
import type { Member } from '../../doubles/crab/archive.ts';
import { createCrabUser } from './crab-user.ts';
import { AGENT, type CrabWorld, type Leaves, openCrabWorld, QUEUE, reportOf, USAGE } from './crab-world.ts';

describe('CRAB adapter', () => {
  let world: CrabWorld;
  beforeEach(async () => {
    world = await openCrabWorld();
  });
  afterEach(async () => world.close());

  const { statusOf, submitted, oneJob, fail } = createCrabUser(() => world);

  describe('tasks', () => {
    it('goes through the claim cycle in order, and has the task submitted with its schedd, web directory and cluster', async () => {
      const task = await submitted();
      const posts = world.crab.calls
        .filter(({ method, api }) => method === 'POST' && (api === 'workflowdb' || api === 'task'))
        .map(({ subresource }) => subresource);
      expect(posts.slice(0, 6)).toEqual([
        'process',
        'process',
        'state',
        'updateschedd',
        'addwebdir',
        'success',
      ]);
      expect(world.crab.tasks.get(task)).toMatchObject({
        tm_task_status: 'SUBMITTED',
        tw_name: 'co-pilot',
        tm_schedd: 'co-pilot@co-pilot',
      });
      expect(world.crab.tasks.extra(task)).toMatchObject({
        webdir: `${world.adapter().statusUrl}/${task}`,
        clusterId: '1',
      });
      expect(await world.states(task)).toEqual(['unsubmitted']);
    });

    it('says that jobs wait', async () => {
      await submitted({ algoargs: 2 });
      expect(world.work).toContainEqual({ kind: 'available', queue: QUEUE, count: 5 });
    });

    it('makes one job of each element of the input arguments, none of which names the user’s DN', async () => {
      const task = await submitted({ algoargs: 4, totalunits: 10, eventsperlumi: 3, savelogsflag: 1 });
      const jobs = await world.take();
      expect(jobs.map(({ ref }) => ref)).toEqual([1, 2, 3].map((number) => `${task}/${number}`));
      const inputArguments = jobs.map(
        ({ description }) => JSON.parse(description.environment['COPILOT_INPUT_ARGS']!) as readonly object[],
      );
      expect(inputArguments.map(([first]) => first)).toMatchObject([
        { CRAB_Id: '1', firstEvent: '1', lastEvent: '5', firstLumi: '1', firstRun: '1' },
        { CRAB_Id: '2', firstEvent: '5', lastEvent: '9', firstLumi: '3', seeding: 'AutomaticSeeding' },
        { CRAB_Id: '3', firstEvent: '9', lastEvent: '11', firstLumi: '5', cmsswVersion: 'CMSSW_13_0_3' },
      ]);
      const [job] = jobs;
      expect(job!.description).toMatchObject({
        command: './crab-job.sh',
        limits: { wallSeconds: 75_000, memoryMiB: 2000, diskMiB: 20_480 },
        requirements: 'Arch == "X86_64"',
      });
      expect(job!.description.outputs.map(({ name }) => name)).toEqual([
        'jobReport.json',
        'wrapper-status.txt',
        'out_1.root',
        'cmsRun_1.log.tar.gz',
      ]);
      for (const one of jobs) {
        expect(newJobFault(one)).toBeUndefined();
        for (const input of one.description.inputs) expect(world.bridge.inputs.has(input.sha256)).toBe(true);
        for (const secret of ['CN=alice', 'DC=example', '192.0.2.7', '127.0.0.1', 'T2_CH_CERN', '/store/'])
          expect(JSON.stringify(one)).not.toContain(secret);
      }
    });

    it('refuses what it cannot run, with the reason for its user', async () => {
      const refusals: readonly (readonly [string, Parameters<CrabWorld['client']['submit']>[1], string])[] = [
        ['a type that needs data', { jobtype: 'Analysis' }, 'PrivateMC is run'],
        ['another split', { splitalgo: 'FileBased' }, 'EventBased is'],
        ['too many jobs', { algoargs: 1, totalunits: 10_001 }, '10000'],
        ['an output file that is a path', { addoutputfiles: ['../../etc/cron.d/x'] }, 'none of a file'],
        ['an output file that is an option', { addoutputfiles: ['-rf'] }, 'none of a file'],
        ['one output file twice', { addoutputfiles: ['OUT.root'] }, 'twice'],
        ['fourteen output files', { addoutputfiles: Array.from({ length: 14 }, (_, at) => `f${at}`) }, '13'],
        ['a script with a shell word', { scriptexe: 'run.sh;reboot' }, 'tm_scriptexe'],
        ['an argument over two lines', { scriptargs: ['a\nb'] }, 'tm_scriptargs'],
        [
          'more arguments than a job may carry',
          { scriptargs: Array.from({ length: 32 }, () => 'x'.repeat(200)) },
          'environment',
        ],
        ['an LFN that leaves its place', { lfn: '/store/user/../../etc' }, 'tm_output_lfn'],
        ['more wall time than CRAB has', { maxjobruntime: 9999 }, 'tm_maxjobruntime'],
      ];
      const tasks: string[] = [];
      for (const [, parameters] of refusals) {
        world.clock.jumpWall(1000);
        tasks.push(await world.client.submit('study', parameters));
      }
      await world.turn();
      for (const [at, [what, , reason]] of refusals.entries()) {
        expect([what, statusOf(tasks[at]!)]).toEqual([what, 'SUBMITFAILED']);
        expect((await world.client.status(tasks[at]!)).taskFailureMsg).toContain(reason);
      }
      expect((await world.take()).length).toBe(0);
    });

    it('refuses a task with a column missing, hostile or of another kind', async () => {
      const columns = [
        'tm_job_type',
        'tm_split_algo',
        'tm_split_args',
        'tm_totalunits',
        'tm_username',
        'tm_user_dn',
        'tm_job_sw',
        'tm_job_arch',
        'tm_user_sandbox',
        'tm_publish_name',
        'tm_primary_dataset',
        'tm_asyncdest',
        'tm_publication',
        'tm_save_logs',
        'tm_transfer_outputs',
        'tm_output_lfn',
        'tm_maxjobruntime',
        'tm_maxmemory',
        'tm_numcores',
        'tm_priority',
      ];
      const hostile: readonly unknown[] = [undefined, '$(reboot)\n"; rm -rf / #', { toString: ['x'] }];
      const names = columns.flatMap((column) =>
        hostile.map((value, at) => {
          const name = `260101_000000:alice_${column}_${at}`;
          world.crab.tasks.insert(name, { tm_user_sandbox: 'none.tar.gz', [column]: value });
          return name;
        }),
      );
      await world.turn();
      for (const name of names) expect([name, statusOf(name)]).toEqual([name, 'SUBMITFAILED']);
      expect(world.crab.calls.some(({ api }) => api === 'cache')).toBe(false);
      expect((await world.take()).length).toBe(0);
    });

    it('refuses a sandbox that nobody should unpack', async () => {
      const sandboxes: readonly (readonly [readonly Member[], string])[] = [
        [[{ name: 'lib', type: '2', link: '/etc/passwd' }], 'symbolic link'],
        [[{ name: '/etc/cron.d/x', content: 'x' }], 'below'],
        [[{ name: 'a/../../x', content: 'x' }], 'below'],
      ];
      for (const [members, reason] of sandboxes) {
        world.clock.jumpWall(1000);
        const cachefilename = await world.client.upload(members);
        const task = await submitted({ cachefilename });
        expect(statusOf(task)).toBe('SUBMITFAILED');
        expect((await world.client.status(task)).taskFailureMsg).toContain(reason);
      }
      expect(world.bridge.inputs.size).toBe(0);
    });

    it('refuses a banned user before anything of the task is looked at', async () => {
      await world.reopen({ options: { bannedUsers: ['alice'] } });
      const task = await submitted();
      expect(statusOf(task)).toBe('SUBMITREFUSED');
      expect(
        world.crab.calls.some(({ api, subresource }) => api === 'cache' && subresource === 'download'),
      ).toBe(false);
    });

    it('leaves a dry run uploaded', async () => {
      const cachefilename = await world.client.upload([{ name: 'PSet.py', content: 'x' }]);
      world.crab.tasks.insert('260101_000000:alice_dry', { tm_user_sandbox: cachefilename, tm_dry_run: 'T' });
      await world.turn();
      expect(statusOf('260101_000000:alice_dry')).toBe('UPLOADED');
      expect((await world.take()).length).toBe(0);
    });

    it('takes up again at its start what an earlier life left queued', async () => {
      world.crab.faults.add({
        api: 'cache',
        subresource: 'download',
        fault: { kind: 'status', status: 503, done: false },
      });
      const task = await submitted();
      expect(statusOf(task)).toBe('QUEUED');
      await world.reopen();
      await world.turn();
      expect(statusOf(task)).toBe('SUBMITTED');
      expect((await world.take()).length).toBe(1);
    });

    it('takes up a submitted task that its own file has lost, without what has a result', async () => {
      const { task, job } = await oneJob({ algoargs: 5 });
      await world.finish(job);
      await world.reopen({}, 'crab.sqlite');
      await world.turn();
      expect(await world.states(task)).toEqual(['finished', 'unsubmitted']);
      expect((await world.take()).map(({ ref }) => ref)).toEqual([`${task}/2`]);
    });

    it('fetches no sandbox from an address that is none of the server’s', async () => {
      const presignGet = (base: string, key: string): string => original.presignGet(base, key);
      const original = { ...world.crab.objects };
      Object.assign(world.crab.objects, { presignGet: () => 'http://169.254.169.254/latest/meta-data' });
      const task = await submitted();
      expect(statusOf(task)).toBe('QUEUED');
      Object.assign(world.crab.objects, { presignGet });
    });
  });

  describe('jobs', () => {
    it('tells of the files with what storage computed, and of the transfer, and is done when the file has moved', async () => {
      const { task, job } = await oneJob();
      await world.adapter().started(job.job, 1, AGENT, job.state ?? '');
      expect(await world.states(task)).toEqual(['running']);
      expect(await world.finish(job)).toEqual({ events: 10 });
      expect(world.crab.files.all()).toMatchObject([
        {
          taskname: task,
          jobid: '1',
          filetype: 'EDM',
          lfn: `/store/user/alice/MinBias/study/${task.split(':')[0]!}/0000/out_1.root`,
          outdataset: `/MinBias/alice-study-${'a'.repeat(32)}/USER`,
          inevents: 10,
          filesize: 21,
          runlumi: { 1: { 1: '10' } },
          location: 'T2_CH_CERN',
          tmplocation: 'T3_CH_Volunteer',
          state: 'TRANSFERRING',
        },
      ]);
      expect(world.crab.files.all()[0]).not.toMatchObject({ adler32: 'ffffffff' });
      expect(world.crab.transfers.all()).toMatchObject([
        { taskname: task, state: 'NEW', type: 'output', publish: 0 },
      ]);
      expect(await world.states(task)).toEqual(['transferring']);
      for (let step = 0; step < 3; step++) world.clock.advance(60_000);
      await world.lookAtTransfers();
      expect(await world.states(task)).toEqual(['finished']);
    });

    it('carries files to temporary storage, where the transfer finds them, and only right ones', async () => {
      await world.reopen({ options: { stageOutUrl: world.crab.storageUrl } });
      const { task, job } = await oneJob({ savelogsflag: 1, algoargs: 5 });
      expect(await world.finish(job)).toEqual({ events: 10 });
      const { files } = world.crab.storage;
      expect([...files.keys()].map((lfn) => lfn.split('/').slice(-2).join('/'))).toEqual([
        'log/cmsRun_1.log.tar.gz',
        '0000/out_1.root',
      ]);
      const [, output] = world.crab.files.all();
      expect(output).toMatchObject({ tmplfn: [...files.keys()][1], cksum: '3813342101', filetype: 'EDM' });
      expect(files.get(String(output!['tmplfn']))?.toString()).toBe('content of out_1.root');
      expect(world.crab.transfers.all().map(({ type }) => type)).toEqual(['log', 'output']);
      expect((await world.states(task))[0]).toBe('transferring');
    });

    it('is failed where the file cannot be moved', async () => {
      world.crab.transfers.failNext(1);
      const { task, job } = await oneJob();
      await world.finish(job);
      for (let step = 0; step < 20; step++) world.clock.advance(60_000);
      await world.lookAtTransfers();
      expect(await world.states(task)).toEqual(['failed']);
    });

    it('looks whether a transfer is there before it asks for it a second time', async () => {
      const { job } = await oneJob();
      world.crab.faults.add({ api: 'fileusertransfers', method: 'PUT', fault: { kind: 'lost' } });
      world.crab.faults.add({
        api: 'fileusertransfers',
        method: 'GET',
        fault: { kind: 'status', status: 503, done: false },
      });
      await expect(world.finish(job)).rejects.toThrow();
      const before = world.crab.calls.length;
      await world.finish(job);
      const calls = world.crab.calls.slice(before).filter(({ api }) => api === 'fileusertransfers');
      expect(calls.map(({ method }) => method)).toEqual(['GET', 'GET']);
    });

    it('I3 keeps the first result against another attempt, repeats its answer, and says so after a restart', async () => {
      const { task, job } = await oneJob();
      expect(await world.finish(job)).toEqual({ events: 10 });
      expect(await world.finish(job)).toEqual({ events: 10 });
      expect(await world.finish(job, { attempt: 2 })).toBe('refused');
      await fail(job, { kind: 'exited', code: 1 });
      await world.reopen();
      expect(await world.finish(job)).toEqual({ events: 10 });
      expect(await world.states(task)).toEqual(['transferring']);
      expect(world.crab.files.all().length).toBe(1);
    });

    it('does not end a job whose bridge cannot be read', async () => {
      const { task, job } = await oneJob();
      world.bridge.isDown = true;
      await expect(world.finish(job)).rejects.toMatchObject({ code: 'UNREACHABLE' });
      world.bridge.isDown = false;
      expect(await world.finish(job)).toEqual({ events: 10 });
      expect(await world.states(task)).toEqual(['transferring']);
    });

    it('refuses a result for good where CRAB will never have it, and says why in the job’s state', async () => {
      const { task, job } = await oneJob();
      const original = { ...world.crab.files };
      const put = (form: Form): readonly unknown[] => original.put(form);
      Object.assign(world.crab.files, {
        put: () => {
          throw new RestError('InvalidParameter', "Incorrect 'outlfn' parameter");
        },
      });
      expect(await world.finish(job)).toBe('refused');
      Object.assign(world.crab.files, { put });
      expect(await world.finish(job)).toBe('refused');
      expect(await world.states(task)).toEqual(['failed']);
      const lines = await (await fetch(`${world.adapter().statusUrl}/${task}/fjr_parse_results.txt`)).text();
      expect(JSON.parse(lines)).toEqual({ 1: { 0: [90_000, expect.stringContaining('outlfn'), {}] } });
    });

    it('ends a try by what it left', async () => {
      const left: readonly (readonly [string, Leaves, number])[] = [
        ['a code that is final', { exitCode: 50_660 }, 50_660],
        ['an output that is not there', { without: ['out_2.root'] }, 60_302],
        ['no report', { without: ['jobReport.json'] }, 50_115],
        ['a report that is no JSON', { report: '{"exitCode": 0' }, 50_115],
        ['a report that is a list', { report: '[]' }, 50_115],
        ['a report with another code', { report: '{"exitCode": "0"}' }, 50_115],
        [
          'a report as deep as a well',
          { report: `{"exitCode": 0, "x": ${'['.repeat(100_000)}${']'.repeat(100_000)}}` },
          50_115,
        ],
        ['a shell that failed, whatever the report says', { status: '68\n' }, 68],
        ['a shell’s word that is none', { status: 'all is well' }, 80_001],
      ];
      const task = await submitted({ algoargs: 1, totalunits: left.length });
      const jobs = await world.take();
      for (const [at, [what, leaves, code]] of left.entries()) {
        expect([what, await world.finish(jobs[at]!, leaves)]).toEqual([what, 'refused']);
        const state = (await world.states(task))[at];
        expect([what, state]).toEqual([what, code === 50_115 ? 'cooloff' : 'failed']);
      }
      const lines = await (await fetch(`${world.adapter().statusUrl}/${task}/node_state.txt`)).text();
      for (const [at, [, , code]] of left.entries())
        if (code !== 50_115) expect(lines.split('\n')[at]).toContain(` ${code} `);
      expect(world.crab.files.all()).toEqual([]);
    });

    it('does not read a report of 100 MB', async () => {
      const { job } = await oneJob();
      const manifest = [
        { name: 'jobReport.json', size: 100_000_000, sha256: 'a'.repeat(64) },
        { name: 'out_1.root', size: 1, sha256: 'a'.repeat(64) },
      ];
      expect(await world.adapter().finished(job.job, 1, manifest, USAGE, job.state ?? '')).toBe('refused');
    });

    it('believes no number of a report that could not be', async () => {
      const { job } = await oneJob();
      const report = JSON.parse(reportOf(0)) as { steps: { cmsRun: { output: { out: object[] } } } };
      Object.assign(report.steps.cmsRun.output.out[0]!, {
        events: -5,
        runs: { 'x; DROP TABLE': { 1: 1 }, 7: { 1: 'many', 2: 3 } },
        lfn: '/store/user/mallory/evil.root',
        pset_hash: '../..',
      });
      expect(await world.finish(job, { report: JSON.stringify(report) })).toEqual({ events: 0 });
      expect(world.crab.files.all()).toMatchObject([
        {
          inevents: 0,
          runlumi: { 7: { 1: null, 2: '3' } },
          outdataset: `/MinBias/alice-study-${'0'.repeat(32)}/USER`,
        },
      ]);
      expect(JSON.stringify(world.crab.files.all())).not.toContain('mallory');
    });

    it('never runs an old attempt again because old news come late', async () => {
      const { task, job } = await oneJob();
      const adapter = world.adapter();
      await adapter.released(job.job, 1, 'lost', job.state ?? '');
      await adapter.started(job.job, 1, AGENT, job.state ?? '');
      await adapter.renewed(job.job, 1, 0.9, job.state ?? '');
      expect(await world.states(task)).toEqual(['idle']);
      await adapter.started(job.job, 3, AGENT, job.state ?? '');
      await adapter.released(job.job, 2, 'late', job.state ?? '');
      expect(await world.states(task)).toEqual(['running']);
    });

    it('hands over again what was never named as accepted, after 10 s and at once after a restart', async () => {
      await submitted();
      const fetchRefs = async (): Promise<number> => (await world.adapter().fetch(QUEUE, 8, [])).jobs.length;
      expect(await fetchRefs()).toBe(1);
      world.clock.advance(9_000);
      expect(await fetchRefs()).toBe(0);
      world.clock.advance(1_100);
      expect(await fetchRefs()).toBe(1);
      await world.reopen();
      expect(await fetchRefs()).toBe(1);
      expect((await world.take()).length).toBe(0);
      world.clock.advance(10_000);
      await world.take();
      await world.reopen();
      expect(await fetchRefs()).toBe(0);
    });

    it('hands over the first job of a later task before the second of an earlier one, and a higher priority first', async () => {
      const first = await submitted({ algoargs: 5 });
      world.clock.advance(1000);
      const second = await submitted({ algoargs: 5 });
      world.clock.advance(1000);
      const urgent = await submitted({ priority: 99 });
      const { jobs, more } = await world.adapter().fetch(QUEUE, 3, []);
      expect(jobs.map(({ ref }) => ref)).toEqual([`${urgent}/1`, `${first}/1`, `${second}/1`]);
      expect(more).toBe(true);
    });

    it('takes news of jobs that it does not know without harm', async () => {
      const stranger = 'z'.repeat(26);
      const adapter = world.adapter();
      for (const state of [
        '',
        'null',
        '{}',
        '{"task":1}',
        '{"task":"x","number":1,"retry":0}',
        '{'.repeat(4096),
      ]) {
        await adapter.started(stranger, 1, AGENT, state);
        await adapter.renewed(stranger, 1, 0.5, state);
        await adapter.released(stranger, 1, 'gone', state);
        await adapter.failed(stranger, 'failed', 'gone', [], state);
        expect(await adapter.finished(stranger, 1, [], USAGE, state)).toBe('refused');
      }
    });
  });

  describe('commands', () => {
    it('KILL ends what runs and what waits, keeps what is finished, and is asked for until the broker has ended it', async () => {
      const { task, job } = await oneJob({ algoargs: 2 });
      const [, second] = [job, await world.take()];
      expect(second).toEqual([]);
      await world.client.kill(task);
      world.clock.advance(1000);
      await world.turn();
      expect(statusOf(task)).toBe('KILLED');
      expect(new Set(await world.states(task))).toEqual(new Set(['killed']));
      const kill = { kind: 'kill', job: job.job, reason: expect.stringContaining('killed') };
      expect(world.work).toContainEqual(kill);
      const before = world.work.length;
      world.clock.advance(10_001);
      expect(world.work.slice(before)).toContainEqual(kill);
      await world.adapter().failed(job.job, 'cancelled', 'as asked', [], job.state ?? '');
      const after = world.work.length;
      world.clock.advance(10_001);
      expect(world.work.slice(after)).not.toContainEqual(kill);
      expect(await world.finish(job)).toBe('refused');
    });

    it('KILL reaches a job that was handed over and not accepted when it is accepted after all', async () => {
      const task = await submitted();
      const { jobs } = await world.adapter().fetch(QUEUE, 8, []);
      await world.client.kill(task);
      await world.turn();
      const before = world.work.length;
      await world.adapter().fetch(QUEUE, 8, [jobs[0]!.job]);
      expect(world.work.slice(before)).toContainEqual({
        kind: 'kill',
        job: jobs[0]!.job,
        reason: expect.any(String),
      });
    });

    it.each(['KILL', 'RESUBMIT'])('says that %s of another worker’s task failed', async (command) => {
      world.crab.tasks.insert('260101_000000:alice_other', {
        tm_task_status: 'NEW',
        tm_task_command: command,
        tm_schedd: 'vocms0137.cern.ch',
      });
      await world.turn();
      expect(statusOf('260101_000000:alice_other')).toBe(`${command}FAILED`);
    });

    it('ends a task that is over 30 days old', async () => {
      const { task } = await oneJob();
      world.clock.jumpWall(30 * 86_400_000 + 1000);
      await world.turn();
      expect(await world.states(task)).toEqual(['killed']);
    });
  });
});
