#!/usr/bin/python3
"""An agent of the Co-Pilot, whole and small: the worked example of docs/agent-author.md. Numbers are those of docs/protocol.md."""

import argparse
import asyncio
import fcntl
import json
import os
import platform
import random
import shutil
import signal
import sys
import threading
import time

import identity
import runner
import wire
from identity import EnrolmentRefused, Keys, Member, Unreachable, write_privately
from link import Link, wait_for
from runner import CannotRun
from transfer import Failed, Stopped, Storage, digest_of

# Exit codes of docs/operator.md.
DONE, USAGE, REFUSED, FAULT, DAMAGED, IN_USE = 0, 64, 69, 70, 74, 75
NOT_PERMITTED, LACKING, INTERRUPTED = 77, 78, 130
# M-21: farewells after which this start is over.
FINAL = {
    'REVOKED': NOT_PERMITTED, 'BANNED': NOT_PERMITTED, 'QUARANTINED': NOT_PERMITTED,
    'OTHER_OWNER': NOT_PERMITTED, 'SUPERSEDED': IN_USE,
}
# M-19: errors after which the same message is not sent again.
AT_FAULT = {
    'ATTEMPT_NOT_LIVE', 'BAD_SIGNATURE', 'MALFORMED_MESSAGE', 'FRAME_TOO_LARGE', 'UNKNOWN_KIND',
    'NOT_AUTHORIZED', 'NOT_FOUND', 'UNSUPPORTED',
}
ANSWERS = {
    'request': ('job', 'none'), 'renew': ('renewed',), 'outputs': ('capabilities',),
    'report': ('reported',), 'release': ('released',),
}
ARCHITECTURES = {'x86_64': 'X86_64'}
MOST_SEEN = 64
MOST_TAILS = 16
CAPABILITIES_AT_MOST = 5


def say(phase, **fields):
    """One line for people and programs. Codes, identities and tokens are never in it (E-15)."""
    print(json.dumps({'phase': phase, **fields}), flush=True)


class Rejected(Exception):
    """The broker refused a message for good."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Counters:
    """A counter for each slot that rises over restarts too (M-7): the disk holds a number no message has reached."""

    AHEAD = 256

    def __init__(self, directory):
        self.path = os.path.join(directory, 'counters.json')
        self.reserved = {}
        if os.path.exists(self.path):
            with open(self.path) as file:
                self.reserved = {int(slot): counter for slot, counter in json.load(file).items()}
        self.last = dict(self.reserved)

    def next(self, slot):
        counter = self.last[slot] = self.last.get(slot, 0) + 1
        if counter > self.reserved.get(slot, 0):
            self.reserved[slot] = counter + self.AHEAD
            write_privately(self.path, self.reserved)
        return counter

    def passed(self, slot, counter):
        """M-12: the broker has had this one."""
        self.last[slot] = max(self.last.get(slot, 0), counter)


class Waiting:
    """A message without an answer, and what came for it."""

    def __init__(self, message):
        self.message, self.answers, self.sent = message, asyncio.Queue(8), 1


class Conversation:
    """One unanswered message a slot, each said again until it is answered (M-6, M-13)."""

    def __init__(self, counters):
        self.counters, self.link = counters, None
        self.waiting = {}
        self.seen = []
        self.dismissed = None

    async def ask(self, slot, kind, **fields):
        """The answer, and whether it took more than one try. Raises `Rejected`; waits for ever where nothing comes."""
        message = {'kind': kind, 'slot': slot, 'counter': self.counters.next(slot), **fields}
        if kind in ('request', 'report', 'renew'):
            message['seen'] = self.seen[:MOST_SEEN]
        waiting = self.waiting[slot] = Waiting(message)
        self.link.say(message)
        try:
            answer = await self.patiently(waiting)
        finally:
            if self.waiting.get(slot) is waiting:
                del self.waiting[slot]
        self.seen = [each for each in self.seen if each not in message.get('seen', [])]
        return answer, waiting.sent > 1

    async def patiently(self, waiting):
        kind = waiting.message['kind']
        wait = 60 if kind == 'request' else 5
        while True:
            try:
                answer = await asyncio.wait_for(waiting.answers.get(), wait * random.uniform(1, 1.25))
            except asyncio.TimeoutError:
                wait = min(60, wait * 2)
                self.repeat(waiting)
                continue
            if answer['kind'] in ANSWERS[kind] and is_about(answer, waiting.message):
                return answer
            if answer['kind'] == 'error':
                self.refused(answer['code'])

    def refused(self, code):
        """M-19: what is not final is said again later; where counters are stale, a new welcome tells them."""
        if code in AT_FAULT:
            raise Rejected(code)
        if code == 'STALE_COUNTER':
            self.link.begin_anew()
        elif code in FINAL or code == 'IDENTITY_EXPIRED':
            self.dismissed(code)

    def repeat(self, waiting):
        waiting.sent += 1
        if waiting.sent % 4 == 0:
            self.link.begin_anew()
        self.link.say(waiting.message)

    def take(self, message):
        """An answer; one that is not of the slot and counter that wait is ignored (M-6). False where the slot waits for none."""
        waiting = self.waiting.get(message['slot'])
        is_awaited = waiting is not None and waiting.message['counter'] == message['counter']
        if is_awaited and not waiting.answers.full():
            waiting.answers.put_nowait(message)
        return waiting is not None

    def welcomed(self, slots):
        """M-12: counters go on above the broker's; what waits is said again, under a new one where its own was passed."""
        for each in slots:
            self.counters.passed(each['slot'], each['counter'])
        told = {each['slot']: each['counter'] for each in slots}
        for slot, waiting in self.waiting.items():
            if told.get(slot, 0) > waiting.message['counter']:
                waiting.message['counter'] = self.counters.next(slot)
            waiting.sent += 1
            self.link.say(waiting.message)


def is_about(answer, message):
    return all(answer[name] == message[name] for name in ('job', 'attempt') if name in answer and name in message)


class Attempt:
    """What was leased, on the disk before it begins (L-12), and how far it is: leased, ended, stored, reported."""

    def __init__(self, folder, slot, lease, state='leased', report=None):
        self.folder, self.slot, self.lease, self.state, self.report = folder, slot, lease, state, report
        self.work = os.path.join(folder, 'work')
        self.name = attempt_of(lease)
        self.renew_at = time.monotonic() + min(lease['firstRenewSeconds'] / 2, lease['leaseSeconds'] / 3)
        self.stop = threading.Event()
        self.task = self.run = None

    @staticmethod
    def read(folder):
        with open(os.path.join(folder, 'journal.json')) as file:
            journal = json.load(file)
        wire.lease(journal['lease'])
        return Attempt(folder, journal['slot'], journal['lease'], journal['state'], journal['report'])

    def write(self, state):
        os.makedirs(self.folder, 0o700, exist_ok=True)
        journal = {'slot': self.slot, 'lease': self.lease, 'state': state, 'report': self.report}
        write_privately(os.path.join(self.folder, 'journal.json'), journal)
        self.state = state

    def remove(self):
        runner.remove(self.folder)

    def variables(self):
        return {
            'COPILOT_JOB': self.name['job'],
            'COPILOT_ATTEMPT': str(self.name['attempt']),
            'COPILOT_SLOT': str(self.slot),
        }

    def standing(self, with_tail):
        """What a renewal says of it (L-6)."""
        entry = {**self.name, 'progress': self.run.progress() if self.run else 0}
        if self.run and with_tail:
            entry |= {'usage': self.run.usage(), 'logTail': self.run.tail(256)}
        return entry


def signed_text(installation, agent, report):
    """V-2: what a report's signature is over."""
    ended = report['exit']
    value = {'exited': 'code', 'signalled': 'signal', 'limit': 'limit', 'failed': 'reason'}[ended['kind']]
    told = json.dumps(ended[value], ensure_ascii=False) if ended['kind'] == 'failed' else str(ended[value])
    lines = ['co-pilot-report-1', installation, agent, report['job'], str(report['attempt'])]
    lines.append(f'{ended["kind"]}\t{told}')
    lines += [f'{file["name"]}\t{file["size"]}\t{file["sha256"]}' for file in report['manifest']]
    return ''.join(f'{line}\n' for line in lines).encode()


class Agent:
    """The loop: one coroutine for each slot, one for renewals, one for the identity."""

    def __init__(self, options, keys, member, method):
        self.options, self.keys, self.member, self.method = options, keys, member, method
        self.attempts_folder = os.path.join(options.directory, 'attempts')
        self.storage = Storage(keys)
        self.talk = Conversation(Counters(options.directory))
        start = identity.base32(os.urandom(16))
        self.link = self.talk.link = Link(member, keys, start, self.hear)
        self.talk.dismissed = self.dismissed
        self.attempts = {}
        self.agent, self.finished = None, asyncio.get_running_loop().create_future()
        self.welcomed, self.draining, self.wake = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.poll_wait, self.poll_at, self.noticed = 2, float('inf'), float('-inf')
        self.held, self.leaving = [], False

    # What the broker says.

    def hear(self, message):
        kind = message['kind']
        for item in message.get('verdicts', []):
            self.judged(item)
        if kind == 'welcome':
            self.greeted(message)
        elif kind == 'farewell':
            self.dismissed(message['code'])
        elif kind == 'notice':
            self.advised(message['command'])
        elif not self.talk.take(message) and kind == 'job' and self.draining.is_set():
            # A request that we gave up when we began to drain was answered all the same.
            self.spawn(self.release(message['slot'], attempt_of(message['lease']), 'drain'))

    def advised(self, command):
        """M-20."""
        if command == 'drain':
            self.take_no_more()
        else:
            self.noticed = time.monotonic()
            self.renew_now()

    def greeted(self, welcome):
        first = self.agent is None
        self.agent = welcome['agent']
        self.talk.welcomed(welcome['slots'])
        if first:
            self.held = welcome['held']
        self.welcomed.set()
        self.renew_now()  # whatever happened meanwhile, the orders tell

    def judged(self, item):
        """A verdict that is final lets the files go, and is named as seen until an answer shows that this was heard (V-8, V-10)."""
        name = attempt_of(item)
        attempt = self.attempts.get(key_of(name))
        is_ours_to_judge = attempt is None or attempt.state in ('stored', 'reported')
        if item['verdict'] not in ('committed', 'refused') or not is_ours_to_judge:
            return
        if attempt is not None:
            say('verdict', **name, verdict=item['verdict'], reason=item['reason'])
            self.forget(attempt)
        if name not in self.talk.seen and len(self.talk.seen) < 2 * MOST_SEEN:
            self.talk.seen.append(name)
            self.poll_at = min(self.poll_at, time.monotonic() + 2)
            self.wake.set()

    def dismissed(self, code):
        """M-21."""
        say('farewell', code=code)
        self.link.end()
        if code in FINAL:
            self.finish(FINAL[code])
        else:
            self.spawn(self.come_back(code))

    async def come_back(self, code):
        if code == 'IDENTITY_EXPIRED':
            await self.renew_identity()
        else:
            await asyncio.sleep(10)
        self.link.reopen()

    # The whole of it.

    async def live(self):
        """Runs until there is a reason to end; answers the exit code."""
        self.tasks = set()
        self.read_attempts()
        self.spawn(self.link.run())
        self.spawn(self.keep_identity())
        self.spawn(self.begin())
        code = await self.finished
        for attempt in self.attempts.values():
            attempt.stop.set()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.wait([asyncio.gather(*self.tasks, return_exceptions=True)], timeout=5)
        return code

    def spawn(self, coroutine):
        """A task that nobody waits for: a fault in it ends the agent."""
        task = self.keep(asyncio.create_task(coroutine))
        task.add_done_callback(self.ended)
        return task

    def keep(self, task):
        """Cancelled at the end, whoever waits for it."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def ended(self, task):
        if not task.cancelled() and (fault := task.exception()) is not None:
            say('fault', error=type(fault).__name__)
            self.finish(FAULT)

    def finish(self, code):
        if not self.finished.done():
            self.finished.set_result(code)

    async def begin(self):
        """After the first welcome: what is held goes on or goes back, then every slot asks (W-4)."""
        await self.welcomed.wait()
        say('connected', agent=self.agent, isolation=self.method)
        held = {key_of(each) for each in self.held}
        for attempt in list(self.attempts.values()):
            if key_of(attempt.name) not in held and attempt.state not in ('stored', 'reported'):
                self.forget(attempt)
        for name in self.held:
            if key_of(name) not in self.attempts:
                await self.release(1, name, 'lost')
        self.spawn(self.renew_leases())
        most = min(self.options.slots, self.link.max_slots, 63)
        left = [each for each in self.attempts.values() if each.state != 'reported']
        slots = set(range(1, most + 1)) | {each.slot for each in left}
        working = [
            self.spawn(self.serve(slot, [each for each in left if each.slot == slot], slot <= most))
            for slot in slots
        ]
        await asyncio.gather(*working)
        if self.talk.seen:
            await asyncio.wait([self.spawn(self.renew_once())], timeout=5)
        self.finish(DONE)

    def take_no_more(self):
        """No new work; what runs goes on, and then this ends. The broker may order it (L-6, M-20)."""
        if not self.draining.is_set():
            say('draining')
            self.draining.set()

    def drain(self):
        """As whoever runs the agent wants it: what runs may go on for as long as was said, and is given back then."""
        self.take_no_more()
        self.leaving = True
        asyncio.get_running_loop().call_later(self.options.drain, self.give_back)

    def give_back(self):
        for attempt in self.attempts.values():
            self.call_off(attempt)

    # One slot.

    async def serve(self, slot, left, asks):
        """One attempt after the other, first those of an earlier start."""
        for attempt in left:
            runner.end_marked([f'{name}={value}'.encode() for name, value in attempt.variables().items()])
            await self.carry_out(attempt, None)
        lease = None
        while asks:
            if lease is None and (lease := await self.next_lease(slot)) is None:
                return
            attempt = self.leased(slot, lease)
            if self.leaving:
                await self.release(slot, attempt.name, 'drain')
                self.forget(attempt)
                return
            lease = await self.carry_out(attempt, self.host_ad())

    async def next_lease(self, slot):
        """Asks until there is a job; a parked request is waited for, not repeated (M-15). None once we drain."""
        while not self.draining.is_set():
            say('asking', slot=slot)
            asked = self.keep(asyncio.create_task(self.request(slot)))
            drains = asyncio.create_task(self.draining.wait())
            await asyncio.wait([asked, drains], return_when=asyncio.FIRST_COMPLETED)
            drains.cancel()
            await asyncio.wait([asked], timeout=0.2)  # its answer may have come together with the order
            if not asked.done():
                asked.cancel()
                return None
            lease = await asked
            if 'job' in lease:
                return lease
            await self.pause(lease)
        return None

    async def request(self, slot):
        try:
            answer, again = await self.talk.ask(slot, 'request', ad=self.host_ad())
        except Rejected as fault:
            say('refused', slot=slot, code=fault.code)
            return {'retryAfterSeconds': 60}
        if answer['kind'] == 'none':
            return answer['none']
        return {**answer['lease'], 'again': again}

    async def pause(self, none):
        """M-17: not sooner than that in this slot."""
        await wait_for(self.draining, none['retryAfterSeconds'])

    def leased(self, slot, lease):
        again = lease.pop('again', False)
        attempt = Attempt(os.path.join(self.attempts_folder, f'{lease["job"]}.{lease["attempt"]}'), slot, lease)
        if key_of(attempt.name) in self.attempts:
            return self.attempts[key_of(attempt.name)]
        if again or time.monotonic() - self.noticed < 1:
            # Its time runs since the first answer, which we never had (L-11); or a notice came close behind the lease.
            attempt.renew_at = 0
        attempt.write('leased')
        self.attempts[key_of(attempt.name)] = attempt
        self.wake.set()
        return attempt

    async def carry_out(self, attempt, next_ad):
        """Runs and reports an attempt; answers the next lease where the report brought one (V-13)."""
        if attempt.task is not None:
            return None  # the same lease again is the same attempt (L-11)
        try:
            if attempt.state != 'stored':
                attempt.task = self.keep(asyncio.create_task(self.perform(attempt)))
                await asyncio.wait([attempt.task])
                if attempt.task.cancelled():
                    return await self.called_off(attempt)
                await attempt.task
            return await self.send_report(attempt, next_ad)
        except Rejected as fault:
            say('refused', **attempt.name, code=fault.code)
            if fault.code != 'ATTEMPT_NOT_LIVE':
                await self.release(attempt.slot, attempt.name, 'unable')
            self.forget(attempt)
            return None

    def call_off(self, attempt):
        """Stops an attempt whose report is not under way; then only its answer counts."""
        if attempt.task is not None and not attempt.task.done():
            attempt.stop.set()
            attempt.task.cancel()

    async def called_off(self, attempt):
        if self.leaving and key_of(attempt.name) in self.attempts:
            await self.release(attempt.slot, attempt.name, 'drain')
        say('stopped', **attempt.name)
        self.forget(attempt)

    def forget(self, attempt):
        self.attempts.pop(key_of(attempt.name), None)
        attempt.remove()

    async def release(self, slot, name, reason):
        try:
            await self.talk.ask(slot, 'release', **name, reason=reason)
        except Rejected:
            pass  # it is not ours any more, which is what we wanted

    # One attempt.

    async def perform(self, attempt):
        """Inputs, the job, outputs: until storage has all that the report will name (V-1)."""
        if attempt.state == 'leased':
            say('running', **attempt.name, slot=attempt.slot)
            attempt.report = await self.run_job(attempt)
            attempt.write('ended')
        try:
            for file in attempt.report['manifest']:
                await self.move(attempt, 'put', file, self.upload)
        except (CannotRun, Failed, OSError) as fault:
            self.fail(attempt.report, f'an output could not be stored: {reason_of(fault)}')
        attempt.write('stored')

    async def run_job(self, attempt):
        """How it went, as a report says it."""
        description = attempt.lease['description']
        report = {**attempt.name, 'manifest': [], 'logTail': '', 'usage': no_usage()}
        try:
            if 'pilot' in description:
                raise CannotRun('this agent serves no pilots')
            runner.prepare(attempt.work)
            if sum(each['size'] for each in description['inputs']) > description['limits']['diskMiB'] * runner.MIB:
                return {**report, 'exit': {'kind': 'limit', 'limit': 'disk'}}
            for each in description['inputs']:
                is_program = each.get('executable', False) or description['command'] == f'./{each["name"]}'
                path = runner.place(attempt.work, each['name'], is_program)
                await self.move(attempt, 'get', each, self.storage.fetch, path)
            attempt.run = runner.Job(description, attempt.work, self.method, attempt.variables())
            report['exit'] = await attempt.run.run()
            report |= {'usage': attempt.run.usage(), 'logTail': attempt.run.tail(runner.TAIL)}
            if report['exit'] == {'kind': 'exited', 'code': 0}:
                report['manifest'] = await asyncio.to_thread(self.manifest, attempt, report)
        except (CannotRun, Failed, OSError) as fault:
            self.fail(report, f'the job could not be run: {reason_of(fault)}')
        return report

    def manifest(self, attempt, report):
        """Declared outputs (V-5). Without one the job has failed: a report that lacks it would be held against this machine."""
        files = []
        for output in attempt.lease['description']['outputs']:
            try:
                with runner.open_plainly(attempt.work, output['name']) as file:
                    size = os.fstat(file.fileno()).st_size
                    if size > output.get('maxBytes', size):
                        report['exit'] = {'kind': 'limit', 'limit': 'output'}
                        return []
                    digest = digest_of(file, attempt.stop)
            except FileNotFoundError:
                if output.get('optional', False):
                    continue
                raise CannotRun(f'it left no {output["name"]}') from None
            files.append({'name': output['name'], 'size': size, 'sha256': digest})
        return files

    @staticmethod
    def fail(report, reason):
        report |= {'exit': {'kind': 'failed', 'reason': reason[:256]}, 'manifest': []}

    async def move(self, attempt, verb, file, mover, *place):
        """Moves one file by its capability; by a newer one where the storage does not take it any more (C-19)."""
        wanted = {name: file[name] for name in ('name', 'size', 'sha256')}
        given = [
            each for each in attempt.lease['capabilities'] if each['verb'] == verb and each['name'] == file['name']
        ]
        for turn in range(CAPABILITIES_AT_MOST):
            capability = given[0] if turn == 0 and given else await self.capability(attempt, verb, wanted)
            try:
                await asyncio.to_thread(mover, capability, *(place or (attempt,)), *list(wanted.values())[1:], attempt.stop)
                return
            except Failed as fault:
                if turn == CAPABILITIES_AT_MOST - 1:
                    raise
                say('storage', **attempt.name, code=fault.code)

    def upload(self, capability, attempt, size, digest, stop):
        with runner.open_plainly(attempt.work, capability['name']) as file:
            self.storage.upload(capability, file, size, digest, stop)

    async def capability(self, attempt, verb, file):
        """L-13; an answer may have none, and is asked for again later."""
        wait = 1
        while wait < 60:
            answer, _ = await self.talk.ask(attempt.slot, 'outputs', **attempt.name, verb=verb, files=[file])
            for each in answer['capabilities']:
                if each['verb'] == verb and each['name'] == file['name']:
                    return each
            await asyncio.sleep(wait * random.uniform(0.5, 1))
            wait *= 2
        raise Failed('CAPABILITY_INVALID')

    async def send_report(self, attempt, next_ad):
        fields = dict(attempt.report)
        text = signed_text(self.member.stored['installation'], self.agent, fields)
        fields['signature'] = self.keys.sign(text)
        if next_ad is not None and not self.draining.is_set():
            fields['next'] = next_ad
        answer, again = await self.talk.ask(attempt.slot, 'report', **fields)
        say('reported', **attempt.name, exit=fields['exit'], verdict=answer['verdict'], reason=answer['reason'])
        if key_of(attempt.name) in self.attempts:
            attempt.write('reported')
            attempt.renew_at = float('inf')
            self.poll_wait, self.poll_at = 2, time.monotonic() + 2
            self.wake.set()
        self.judged(answer)
        following = answer.get('next')
        if following is None or 'job' in following:
            return following and {**following, 'again': again}
        await self.pause(following)
        return None

    # Renewals.

    async def renew_leases(self):
        """All leases in one message, when the first is due or when the broker asks for it (L-3, M-20)."""
        while True:
            due = min([each.renew_at for each in self.attempts.values()] + [self.poll_at])
            self.wake.clear()
            if due > time.monotonic():
                await wait_for(self.wake, min(due - time.monotonic(), 3_600))
                continue
            try:
                await self.renew_once()
            except Rejected as fault:
                say('refused', slot=0, code=fault.code)
                await asyncio.sleep(5)

    def renew_now(self):
        for attempt in self.attempts.values():
            if attempt.state != 'reported':
                attempt.renew_at = 0
        self.wake.set()

    async def renew_once(self):
        """Without leases it only asks for verdicts, and names those that were seen (V-10, V-11)."""
        live = [each for each in self.attempts.values() if each.state != 'reported']
        leases = [each.standing(len(live) <= MOST_TAILS) for each in live]
        began = time.monotonic()
        answer, _ = await self.talk.ask(0, 'renew', leases=leases)
        told = {key_of(each): each for each in answer['leases']}
        for attempt in live:
            self.obey(attempt, told.get(key_of(attempt.name), {'order': 'cancel'}))
        if self.noticed > began:
            self.renew_now()  # a notice crossed this renewal: what it is about may not be in the answer
        awaits = self.talk.seen or any(each.state == 'reported' for each in self.attempts.values())
        self.poll_wait = min(60, self.poll_wait * 2)
        self.poll_at = time.monotonic() + self.poll_wait if awaits else float('inf')

    def obey(self, attempt, told):
        """L-6. What is not named is cancelled."""
        if told['order'] == 'cancel':
            attempt.renew_at = float('inf')
            self.call_off(attempt)
            return
        attempt.renew_at = time.monotonic() + told['leaseSeconds'] / 3
        if told['order'] == 'drain':
            self.take_no_more()

    # The identity.

    async def keep_identity(self):
        """Renewed at two thirds of its time (E-11); the session after that shows the new one."""
        while True:
            await asyncio.sleep(min(max(0, self.member.renewal_due()), 3_600))
            if self.member.renewal_due() <= 0:
                await self.renew_identity()
                self.link.begin_anew()

    async def renew_identity(self):
        wait = 5
        while True:
            try:
                await asyncio.to_thread(self.member.renew)
                say('renewed')
                return
            except EnrolmentRefused as fault:
                say('refused', code=fault.code)
                self.finish(FINAL.get(fault.code, REFUSED))
                await asyncio.Event().wait()
            except Unreachable:
                await asyncio.sleep(wait * random.uniform(0.5, 1))
                wait = min(600, wait * 2)

    # The machine.

    def read_attempts(self):
        """What an earlier start wrote down; what cannot be read is no attempt."""
        os.makedirs(self.attempts_folder, 0o700, exist_ok=True)
        for name in os.listdir(self.attempts_folder):
            folder = os.path.join(self.attempts_folder, name)
            try:
                attempt = Attempt.read(folder)
            except (OSError, ValueError, KeyError, wire.Malformed):
                runner.remove(folder)
                continue
            self.attempts[key_of(attempt.name)] = attempt
            if attempt.state == 'reported':
                attempt.renew_at, self.poll_at = float('inf'), 0

    def host_ad(self):
        """M-18: a slot's share of the machine."""
        slots = self.options.slots
        memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // runner.MIB
        return {
            'Arch': ARCHITECTURES.get(platform.machine(), platform.machine()),
            'OpSys': platform.system().upper(),
            'Cpus': max(1, os.cpu_count() // slots),
            'MemoryMiB': memory // slots,
            'DiskMiB': shutil.disk_usage(self.options.directory).free // runner.MIB // slots,
            'Isolation': self.method,
        }


def attempt_of(message):
    return {'job': message['job'], 'attempt': message['attempt']}


def key_of(name):
    return name['job'], name['attempt']


def no_usage():
    return {'wallSeconds': 0, 'cpuSeconds': 0, 'memoryMiB': 0, 'diskMiB': 0}


def reason_of(fault):
    return (fault.strerror or 'the disk') if isinstance(fault, OSError) else str(fault)


class Options(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(USAGE, f'{message}\n')


def read_options():
    options = Options(description='An agent of the Co-Pilot.')
    options.add_argument('--directory', required=True, help='where keys and jobs are kept; its own, 0700')
    code = options.add_mutually_exclusive_group()
    code.add_argument('--code', help='one-use code; needed once')
    code.add_argument('--code-file', help='the same, from a file')
    options.add_argument('--slots', type=int, default=1, choices=range(1, 64), metavar='1..63', help='jobs at once')
    options.add_argument('--isolation', choices=runner.METHODS, help='the strongest that works where left out')
    options.add_argument('--drain', type=float, default=0, help='seconds that running jobs may go on after SIGTERM')
    return options.parse_args()


def lock(directory):
    """One agent for one directory, for as long as this process lives."""
    held = os.open(os.path.join(directory, 'lock'), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stop(IN_USE, 'AGENT_IN_USE')


def stop(code, reason):
    say('ended', code=reason)
    sys.exit(code)


def enrol(member, options):
    code = options.code
    if options.code_file:
        with open(options.code_file) as file:
            code = file.read(2_048)
    if code is None:
        stop(REFUSED, 'INVALID_CODE')
    try:
        member.enrol(code)
    except EnrolmentRefused as fault:
        stop(REFUSED, fault.code)
    except Unreachable:
        stop(REFUSED, 'UNREACHABLE')
    say('enrolled')


async def run(options, keys, member, method):
    agent = Agent(options, keys, member, method)

    signals = []

    def asked_to_end():
        signals.append(None)
        if len(signals) > 1:
            agent.finish(INTERRUPTED)
        agent.drain()

    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, asked_to_end)
    code = await agent.live()
    say('ended', exit=code)
    # A transfer that blocks in its thread is nobody's any more: nothing waits for it.
    os._exit(code)


def main():
    options = read_options()
    os.makedirs(options.directory, 0o700, exist_ok=True)
    options.directory = os.path.realpath(options.directory)
    os.chmod(options.directory, 0o700)
    os.umask(0o077)
    lock(options.directory)
    try:
        keys = Keys(options.directory)
        member = Member(options.directory, keys)
    except (OSError, ValueError, KeyError, wire.Malformed):
        stop(DAMAGED, 'AGENT_CORRUPT')
    method = runner.choose(options.isolation, options.directory)
    if method is None:
        print('No way to keep jobs apart: install bubblewrap, or say --isolation none.', file=sys.stderr)
        stop(LACKING, 'UNSUPPORTED')
    if member.stored is None:
        enrol(member, options)
    runner.adopt_orphans()
    asyncio.run(run(options, keys, member, method))


if __name__ == '__main__':
    main()
