"""Handshake and frames (docs/protocol.md, H, S and F). Pure: no socket, no clock; keys come in, bytes go out."""

import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PROTOCOL = b'Noise_XX_25519_AESGCM_SHA256'
SUITE = 1
HELLO, ANSWER, IDENTITY, FRAME, UNKNOWN_SESSION = 1, 2, 3, 4, 5
LARGEST_FRAME = 32_832
LARGEST_MESSAGE = 32_768
WINDOW = 64
NO_SESSION = bytes(8)

# H-1: what a frame of each type may measure.
LENGTHS = {
    HELLO: (44, 4_096),
    ANSWER: (60, 8_192),
    IDENTITY: (76, LARGEST_FRAME),
    FRAME: (37, LARGEST_FRAME),
    UNKNOWN_SESSION: (12, 12),
}


class Refused(Exception):
    """A frame that is dropped; the reason is for nobody but a debugger (S-21)."""


def raw(key):
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def prologue(installation, role='broker'):
    """S-2: fields, each after its length."""
    fields = [b'co-pilot session', bytes([SUITE]), installation.encode(), role.encode()]
    return b''.join(struct.pack('>H', len(field)) + field for field in fields)


def header(kind, session):
    return bytes([kind, SUITE, 0, 0]) + session


def outer(frame):
    """Type, session id and the rest of a frame; refuses whatever H-1 does not allow."""
    kind = frame[0] if frame else 0
    least, most = LENGTHS.get(kind, (1, 0))
    if not least <= len(frame) <= most or frame[1:4] != bytes([SUITE, 0, 0]):
        raise Refused('no such header')
    return kind, frame[4:12], frame[12:]


def nonce(counter):
    return bytes(4) + struct.pack('>Q', counter)


class Symmetric:
    """Noise's symmetric state. Every step makes a new one, so that a false message 2 leaves nothing behind (S-13)."""

    def __init__(self, chain, transcript, key=None, count=0):
        self.chain, self.transcript, self.key, self.count = chain, transcript, key, count

    @staticmethod
    def start(start_of_all):
        name = PROTOCOL.ljust(32, b'\0')
        return Symmetric(name, name).mix(start_of_all)

    def mix(self, data):
        return Symmetric(self.chain, hashlib.sha256(self.transcript + data).digest(), self.key, self.count)

    def mix_key(self, secret):
        chain, key = derive(self.chain, secret)
        return Symmetric(chain, self.transcript, key)

    def mix_dh(self, private, public):
        try:
            return self.mix_key(private.exchange(X25519PublicKey.from_public_bytes(public)))
        except ValueError as fault:
            raise Refused('a key of small order') from fault

    def seal(self, plaintext):
        sealed = AESGCM(self.key).encrypt(nonce(self.count), plaintext, self.transcript)
        return sealed, self.after(sealed)

    def open(self, sealed):
        try:
            plaintext = AESGCM(self.key).decrypt(nonce(self.count), sealed, self.transcript)
        except InvalidTag as fault:
            raise Refused('it does not verify') from fault
        return plaintext, self.after(sealed)

    def after(self, sealed):
        mixed = self.mix(sealed)
        return Symmetric(mixed.chain, mixed.transcript, self.key, self.count + 1)


def derive(chain, secret):
    """HKDF with two outputs, as Noise has it."""
    root = hmac.digest(chain, secret, 'sha256')
    first = hmac.digest(root, b'\1', 'sha256')
    return first, hmac.digest(root, first + b'\2', 'sha256')


class Initiator:
    """One handshake XX, from the agent's side: `hello`, then `answer` with each message 2 until one is right, then `identity`."""

    def __init__(self, static, installation, ephemeral=None):
        self.static = static
        self.ephemeral = ephemeral or X25519PrivateKey.generate()
        self.public = raw(self.ephemeral.public_key())
        # The payload of message 1 is empty, and so is what is mixed for it.
        self.state = Symmetric.start(prologue(installation)).mix(self.public).mix(b'')
        self.hello = header(HELLO, NO_SESSION) + self.public

    def answer(self, session, message):
        """The key and the payload of a message 2, and what follows from it; changes nothing."""
        if session != self.public[:8]:
            raise Refused('the answer to another hello')
        theirs, sealed_static, sealed_payload = message[:32], message[32:80], message[80:]
        if len(sealed_payload) < 16:
            raise Refused('too short')
        state = self.state.mix(theirs).mix_dh(self.ephemeral, theirs)
        static, state = state.open(sealed_static)
        state = state.mix_dh(self.ephemeral, static)
        payload, state = state.open(sealed_payload)
        return static, payload, (state, theirs)

    def identity(self, accepted, theirs, ours, payload):
        """Message 3, and the session that it makes. `theirs` and `ours` are the two session ids."""
        state, ephemeral = accepted
        sealed_static, state = state.seal(raw(self.static.public_key()))
        state = state.mix_dh(self.static, ephemeral)
        sealed_payload, state = state.seal(payload)
        send, receive = derive(state.chain, b'')
        self.state = state
        return header(IDENTITY, theirs) + sealed_static + sealed_payload, Session(theirs, ours, send, receive)


class Session:
    """Seals and opens frames under the keys of one handshake (F)."""

    def __init__(self, theirs, ours, send, receive):
        self.theirs, self.ours = theirs, ours
        self.send, self.receive = AESGCM(send), AESGCM(receive)
        self.sent, self.sent_bytes, self.received_bytes = 0, 0, 0
        self.newest, self.seen = -1, 0

    def seal(self, message):
        """A frame with a message. The counter rises before anything is sealed: no key and counter twice (F-2)."""
        counter, self.sent = self.sent, self.sent + 1
        plaintext = b'\1' + message
        self.sent_bytes += len(plaintext)
        head = header(FRAME, self.theirs) + struct.pack('>Q', counter)
        return head + self.send.encrypt(nonce(counter), plaintext, None)

    def open(self, rest):
        """The message in what follows a frame's header; None for a confirmation."""
        (counter,) = struct.unpack('>Q', rest[:8])
        if counter >= 2**53 or self.is_old(counter):
            raise Refused('seen before, or too old')
        try:
            plaintext = self.receive.decrypt(nonce(counter), rest[8:], None)
        except InvalidTag as fault:
            raise Refused('it does not verify') from fault
        self.note(counter)
        self.received_bytes += len(plaintext)
        if plaintext == b'\0':
            return None
        if plaintext[0] != 1 or not 1 < len(plaintext) <= LARGEST_MESSAGE + 1:
            raise Refused('no such content')
        return plaintext[1:]

    def is_old(self, counter):
        behind = self.newest - counter
        return behind >= WINDOW or (behind >= 0 and self.seen >> behind & 1 == 1)

    def note(self, counter):
        """Moves the window; only once the tag has verified (F-5)."""
        ahead = counter - self.newest
        if ahead > 0:
            self.seen = 1 if ahead >= WINDOW else (self.seen << ahead | 1) & (1 << WINDOW) - 1
            self.newest = counter
        else:
            self.seen |= 1 << -ahead
