"""The vectors and examples of the protocol, run by `python3 -m unittest` in this folder (S-3)."""

import json
import pathlib
import unittest

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

import noise
import wire

PROTOCOL = pathlib.Path(__file__).resolve().parents[2] / 'protocol'
FROM_BROKER = {**wire.MESSAGES, **wire.HELLOS}


def vector(name):
    return json.loads((PROTOCOL / 'vectors' / name).read_text())


def private(text):
    return X25519PrivateKey.from_private_bytes(bytes.fromhex(text))


def handshake(named):
    """The agent's half of the vector, with the keys that it names: messages 1 and 3, and the session."""
    agent = noise.Initiator(
        private(named['initiatorStaticPrivate']),
        named['prologue']['installation'],
        private(named['initiatorEphemeralPrivate']),
    )
    _, session, message = noise.outer(bytes.fromhex(named['messages'][1]['frame']))
    static, payload, accepted = agent.answer(session, message)
    third, made = agent.identity(
        accepted,
        bytes.fromhex(named['responderSessionId']),
        bytes.fromhex(named['initiatorSessionId']),
        bytes.fromhex(named['messages'][2]['payload']),
    )
    return agent, static, payload, third, made


class Handshake(unittest.TestCase):
    def setUp(self):
        self.named = vector('handshake-xx.json')

    def test_prologue(self):
        made = noise.prologue(self.named['prologue']['installation'])
        self.assertEqual(made.hex(), self.named['prologue']['bytes'])

    def test_every_byte_of_it(self):
        agent, static, payload, third, _ = handshake(self.named)
        messages = self.named['messages']
        self.assertEqual(agent.hello.hex(), messages[0]['frame'])
        self.assertEqual(static.hex(), self.named['responderStaticPublic'])
        self.assertEqual(payload.hex(), messages[1]['payload'])
        self.assertEqual(third.hex(), messages[2]['frame'])
        self.assertEqual(agent.state.transcript.hex(), self.named['handshakeHash'])

    def test_a_false_answer_does_not_spoil_it(self):
        agent = noise.Initiator(
            private(self.named['initiatorStaticPrivate']),
            self.named['prologue']['installation'],
            private(self.named['initiatorEphemeralPrivate']),
        )
        right = bytes.fromhex(self.named['messages'][1]['message'])
        session = agent.public[:8]
        for place in range(len(right)):
            wrong = bytearray(right)
            wrong[place] ^= 1
            with self.assertRaises(noise.Refused):
                agent.answer(session, bytes(wrong))
        with self.assertRaises(noise.Refused):
            agent.answer(session, bytes(32) + right[32:])
        self.assertEqual(agent.answer(session, right)[1].hex(), self.named['messages'][1]['payload'])


class Frames(unittest.TestCase):
    def setUp(self):
        self.named = vector('frames.json')
        self.session = handshake(vector('handshake-xx.json'))[-1]

    def open(self, frame):
        _, session, rest = noise.outer(bytes.fromhex(frame))
        self.assertEqual(session, self.session.ours)
        return self.session.open(rest)

    def test_messages_sealed(self):
        # An initiator never sends a confirmation (F-6): the counters before a message are skipped.
        for case in self.named['fromInitiator']:
            if case['content'] != 1:
                continue
            self.session.sent = case['counter']
            self.assertEqual(self.session.seal(bytes.fromhex(case['body'])).hex(), case['frame'])

    def test_messages_opened_once(self):
        for case in self.named['fromResponder']:
            body = self.open(case['frame'])
            self.assertEqual(body, bytes.fromhex(case['body']) if case['content'] == 1 else None)
            with self.assertRaises(noise.Refused):
                self.open(case['frame'])

    def test_a_changed_byte_is_refused_and_costs_nothing(self):
        frame = bytes.fromhex(self.named['fromResponder'][1]['frame'])
        for place in range(12, len(frame)):
            wrong = bytearray(frame)
            wrong[place] ^= 1
            with self.assertRaises(noise.Refused):
                self.open(wrong.hex())
        self.assertIsNotNone(self.open(frame.hex()))

    def test_window(self):
        self.session.note(100)
        self.assertFalse(self.session.is_old(37))
        self.assertTrue(self.session.is_old(36))
        self.session.note(37)
        self.assertTrue(self.session.is_old(37))
        self.session.note(101)
        self.assertTrue(self.session.is_old(100))
        self.assertFalse(self.session.is_old(99))
        self.session.note(1000)
        self.assertFalse(self.session.is_old(999))
        self.assertTrue(self.session.is_old(1000))

    def test_headers(self):
        for wrong in ['', '04', '06010000' + '00' * 40, '04020000' + '00' * 40, '04010001' + '00' * 40,
                      '05010000' + '00' * 9, '01010000' + '00' * 39]:
            with self.assertRaises(noise.Refused):
                noise.outer(bytes.fromhex(wrong))


class Messages(unittest.TestCase):
    def test_examples(self):
        counted = 0
        for kind in FROM_BROKER:
            for path in sorted((PROTOCOL / 'examples' / kind).glob('*.json')):
                with self.subTest(path.name, kind=kind):
                    data = path.read_bytes()
                    if path.name.startswith('valid-'):
                        self.assertEqual(wire.decode(data, FROM_BROKER)['kind'], kind)
                    else:
                        with self.assertRaises(wire.Malformed):
                            wire.decode(data, FROM_BROKER)
                counted += 1
        self.assertGreater(counted, 50)

    def test_what_is_no_message(self):
        for wrong in [b'', b'[]', b'1', b'\xff', b'\xef\xbb\xbf{}', b'{"kind":[]}', b'{"kind":"request"}',
                      b'[' * 20_000, b'{"kind":"notice","command":NaN}', b'9' * 20_000]:
            with self.subTest(wrong[:20]), self.assertRaises(wire.Malformed):
                wire.decode(wrong)


if __name__ == '__main__':
    unittest.main()
