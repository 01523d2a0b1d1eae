"""The way to the broker: a WebSocket, a handshake, and the session that it makes (docs/protocol.md, B and S)."""

import asyncio
import os
import random
import time

import websockets

import noise
import wire

VERSION = 1
BROKER_WAIT = 15
HANDSHAKE_WAIT = 30
SESSION_TIME = 3_600
SESSION_FRAMES = 2**20
SESSION_BYTES = 2**30
LINGER = 30
HINT_EVERY = 10
CLOCK_JUMP = 60


def clock_difference():
    return time.time() - time.monotonic()


def repeats(first, most):
    """S-11: waits that double, each up to a quarter less."""
    wait = first
    while True:
        yield wait * random.uniform(0.75, 1)
        wait = min(wait * 2, most)


class Link:
    """Keeps a session with the broker for as long as `run` runs. What it says goes to `hear`; a welcome makes a session the one."""

    def __init__(self, member, keys, start, hear):
        self.member, self.keys, self.start, self.hear = member, keys, start, hear
        self.socket = self.session = self.candidate = self.initiator = None
        self.sessions = {}
        self.answered = self.confirmed = self.welcomed = None
        self.again, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.last_hint = self.last_asked = float('-inf')
        self.max_slots = 63

    async def run(self):
        """Connects, again and again, by one address after the other, the first first (B-12, B-22)."""
        wait, turn = 0.5, 0
        while True:
            buses = self.member.stored['bus']
            addresses = [url for url in buses if url.startswith(('ws:', 'wss:'))]
            try:
                async with websockets.connect(
                    addresses[turn % len(addresses)],
                    max_size=noise.LARGEST_FRAME,
                    compression=None,
                    ping_interval=30,
                    ping_timeout=45,
                    open_timeout=20,
                    close_timeout=1,
                ) as self.socket:
                    await self.serve()
                    wait = 0.5
            except (OSError, asyncio.TimeoutError, websockets.WebSocketException):
                pass
            finally:
                was_welcome = self.session is not None
                self.forget()
            wait = 0.5 if was_welcome else min(wait * 2, 15)
            turn += 1
            await asyncio.sleep(random.uniform(0, wait))

    def forget(self):
        """Session keys do not outlive their connection (S-20)."""
        self.socket = self.session = self.candidate = self.initiator = None
        self.sessions.clear()

    async def serve(self):
        keeper = asyncio.create_task(self.keep_session())
        try:
            async for frame in self.socket:
                if isinstance(frame, str):
                    await self.socket.close(1003)
                    return
                self.take(frame)
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def keep_session(self):
        """One handshake after the other: when the session is old, when it is asked for, when no welcome comes (S-19, S-26)."""
        while True:
            await self.gate.wait()
            self.again.clear()
            if await self.handshake() and await wait_for(self.again, SESSION_TIME * random.uniform(0.9, 1)):
                # Whatever asks for it, a broker takes no more than this for long (S-24).
                await asyncio.sleep(self.last_asked + HINT_EVERY - time.monotonic())
                self.last_asked = time.monotonic()

    async def handshake(self):
        """Whether it came to a welcome. The old session serves until then."""
        loop = asyncio.get_running_loop()
        self.answered, self.confirmed, self.welcomed = loop.create_future(), loop.create_future(), loop.create_future()
        self.initiator = noise.Initiator(self.keys.session, self.member.stored['installation'])
        if not await self.repeat(self.initiator.hello, self.answered):
            return False
        third, made = self.answered.result()
        made.clock = clock_difference()
        made.since = time.monotonic()
        self.candidate = self.sessions[made.ours] = made
        if not await self.repeat(third, self.confirmed):
            return False
        await asyncio.wait([self.welcomed], timeout=BROKER_WAIT)
        return self.welcomed.done() and self.welcomed.result()

    async def repeat(self, frame, done):
        """Sends a handshake message until it is answered, byte by byte the same; not for ever (S-11, S-12)."""
        deadline = time.monotonic() + HANDSHAKE_WAIT
        for wait in repeats(1, 10):
            await self.socket.send(frame)
            left = deadline - time.monotonic()
            await asyncio.wait([done], timeout=max(0, min(wait, left)))
            if done.done() or left <= wait:
                return done.done()

    def take(self, frame):
        """One frame of whoever sent it. What does not open is dropped (S-21)."""
        try:
            kind, session, rest = noise.outer(frame)
            if kind == noise.ANSWER:
                self.take_answer(session, rest)
            elif kind == noise.FRAME:
                self.take_frame(session, rest)
            elif kind == noise.UNKNOWN_SESSION:
                self.take_hint(session)
        except (noise.Refused, wire.Malformed):
            return

    def take_answer(self, session, rest):
        """Message 2: every check of S-6 before we say who we are. The first that is right counts (S-13)."""
        if self.answered is None or self.answered.done():
            return
        static, payload, accepted = self.initiator.answer(session, rest)
        hello = wire.decode(payload, wire.HELLOS)
        self.member.believes(hello['certificate'], static)
        wire.require(VERSION in hello['versions'])
        self.max_slots = hello['maxSlots']
        ours = os.urandom(8)
        identity = {
            'kind': 'agent-hello',
            'identity': self.member.stored['identity'],
            'session': ours.hex(),
            'version': VERSION,
            'start': self.start,
        }
        theirs = bytes.fromhex(hello['session'])
        self.answered.set_result(self.initiator.identity(accepted, theirs, ours, wire.encode(identity)))

    def take_frame(self, session, rest):
        opener = self.sessions.get(session)
        if opener is None:
            return
        message = opener.open(rest)
        if opener is self.candidate and not self.confirmed.done():
            self.confirmed.set_result(None)
        if message is None:
            return
        decoded = wire.decode(message)
        if opener is self.candidate and decoded['kind'] == 'welcome':
            self.serve_by(opener)
        self.hear(decoded)

    def serve_by(self, session):
        """A session that was welcomed takes the place of the one before, which is heard for half a minute more (S-19)."""
        old, self.session, self.candidate = self.session, session, None
        if old is not None:
            asyncio.get_running_loop().call_later(LINGER, self.sessions.pop, old.ours, None)
        self.sessions = {each.ours: each for each in (old, session) if each is not None}
        if not self.welcomed.done():
            self.welcomed.set_result(True)

    def take_hint(self, session):
        """Anybody can say that a session is unknown: it is worth one handshake in ten seconds, and nothing else (S-23)."""
        known = self.session is not None and session == self.session.theirs
        if known and time.monotonic() - self.last_hint >= HINT_EVERY:
            self.last_hint = time.monotonic()
            self.again.set()

    def say(self, message):
        """Seals and sends what it can; whoever asked repeats it. Says nothing before the welcome (S-26)."""
        session = self.session
        if session is None or self.socket is None:
            return
        if self.is_over(session):
            self.session = None
            self.sessions.pop(session.ours, None)
            self.again.set()
            return
        if max(session.sent, session.newest) > SESSION_FRAMES or max(session.sent_bytes, session.received_bytes) > SESSION_BYTES:
            self.again.set()
        asyncio.create_task(self.send(session.seal(wire.encode(message))))

    async def send(self, frame):
        try:
            await self.socket.send(frame)
        except (AttributeError, websockets.ConnectionClosed):
            pass  # the connection went: what is not answered is said again on the next

    def is_over(self, session):
        """S-19 and S-20: too old, or the machine was suspended or restored."""
        return (
            time.monotonic() - session.since > 24 * SESSION_TIME
            or session.sent >= 2**24
            or abs(clock_difference() - session.clock) > CLOCK_JUMP
        )

    def begin_anew(self):
        """A new handshake, beside the session that there is."""
        self.again.set()

    def end(self):
        """After a farewell: nothing more is said, and no handshake begins before `reopen`."""
        self.gate.clear()
        self.session = self.candidate = None
        self.sessions.clear()
        self.again.set()
        if self.welcomed is not None and not self.welcomed.done():
            self.welcomed.set_result(False)

    def reopen(self):
        self.last_asked = float('-inf')
        self.gate.set()


async def wait_for(event, seconds):
    """Whether the event came within that time."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except asyncio.TimeoutError:
        return False
    return True
