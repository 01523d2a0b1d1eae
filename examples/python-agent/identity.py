"""Keys, enrolment and tokens (docs/protocol.md, E)."""

import base64
import hashlib
import http.client
import ipaddress
import json
import os
import re
import ssl
import time
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import wire
from noise import raw

TOLERANCE = 60
BODY = 16_384
PATIENCE = 30
CERTIFICATE = b'{"alg":"EdDSA","typ":"copilot-certificate"}'
IDENTITY = b'{"alg":"ES256","typ":"JWT"}'

identity_token = wire.text(900, '[A-Za-z0-9_.-]+', 1)
challenge_answer = wire.record(challenge=wire.text(1024, '[!-~]+', 1), installation=wire.plain_name)
# This agent speaks WebSocket alone, and needs one such address among them.
bus_list = wire.some(wire.text(512, '[a-z]+://[!-~]+', 6), 8, 1)
enrolment_answer = wire.record(
    identity=identity_token,
    installation=wire.plain_name,
    certifier=wire.key,
    bus=bus_list,
    expiresInSeconds=wire.number(0, 31_536_000),
)
renewal_answer = wire.record(
    identity=identity_token,
    certifier=wire.key,
    expiresInSeconds=wire.number(0, 31_536_000),
    optional={'bus': bus_list},
)


class EnrolmentRefused(Exception):
    """The other side will not have this agent; carries a code of docs/errors.md."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Unreachable(Exception):
    """Nothing answers there, or nonsense: worth another try."""


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


def unb64(text):
    """Strictly: one text for each byte string, without padding."""
    if not re.fullmatch('[A-Za-z0-9_-]*', text) or len(text) % 4 == 1:
        raise wire.Malformed
    data = base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))
    wire.require(b64(data) == text)
    return data


def write_privately(path, value):
    """Replaces a file by another that is whole and on the disk; only its owner can read it."""
    beside = f'{path}.new'
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'w') as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


class Keys:
    """The agent's two key pairs (E-1): made at the first start, kept under 0600."""

    def __init__(self, directory):
        path = os.path.join(directory, 'keys.json')
        if not os.path.exists(path):
            made = [Ed25519PrivateKey.generate(), X25519PrivateKey.generate()]
            signing, session = (
                b64(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())) for key in made
            )
            write_privately(path, {'signing': signing, 'session': session})
        with open(path) as file:
            stored = json.load(file)
        self.signing = Ed25519PrivateKey.from_private_bytes(unb64(stored['signing']))
        self.session = X25519PrivateKey.from_private_bytes(unb64(stored['session']))
        self.sig = b64(raw(self.signing.public_key()))
        self.kex = b64(raw(self.session.public_key()))

    def sign(self, data):
        return b64(self.signing.sign(data))

    def proof(self, purpose, installation, challenge):
        """E-5: that these keys are ours, for this challenge."""
        lines = [purpose, installation, challenge, self.sig, self.kex]
        return self.sign(''.join(f'{line}\n' for line in lines).encode())


def agent_id(installation, sig):
    """E-10."""
    digest = hashlib.sha256(f'co-pilot-agent-1\n{installation}\n{sig}'.encode()).digest()
    return base32(digest[:16])


def base32(data):
    return base64.b32encode(data).decode().rstrip('=').lower()


def read_code(text):
    """E-2: the enrolment URL, the certifier's key and the secret of a one-use code."""
    try:
        code = text.strip()
        wire.require(len(code) <= 1024 and code.startswith('cpc1.'))
        fields = wire.parse(unb64(code[5:]))
        wire.record(u=wire.text(512, 'https?://[!-~]+'), k=wire.key, c=wire.text(512, '[!-~]+', 1))(fields)
    except wire.Malformed as fault:
        raise EnrolmentRefused('INVALID_CODE') from fault
    if not is_private_enough(fields['u']):
        raise EnrolmentRefused('INVALID_CODE')
    return fields['u'].rstrip('/'), fields['k'], fields['c']


def is_private_enough(url):
    """E-3: `https`, or this very machine."""
    parts = urlsplit(url)
    if parts.scheme == 'https':
        return True
    if parts.hostname == 'localhost':
        return True
    try:
        return ipaddress.ip_address(parts.hostname or '').is_loopback
    except ValueError:
        return False


def connect(parts):
    """To the place of a URL. http.client follows no redirects, which E-3 and C-2 forbid."""
    if parts.scheme == 'https':
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=PATIENCE, context=context)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE)


def post(url, body):
    """Asks the enrolment address."""
    connection = None
    try:
        connection = connect(urlsplit(url))
        connection.request('POST', urlsplit(url).path, json.dumps(body), {'Content-Type': 'application/json'})
        response = connection.getresponse()
        data = response.read(BODY + 1)
        wire.require(len(data) <= BODY)
        answer = wire.parse(data)
    except (OSError, ValueError, http.client.HTTPException, wire.Malformed) as fault:
        raise Unreachable from fault
    finally:
        if connection is not None:
            connection.close()
    if response.status == 200:
        return answer
    code = answer.get('code') if isinstance(answer, dict) else None
    if response.status in (400, 403) and isinstance(code, str) and re.fullmatch('[A-Z_]{1,64}', code):
        raise EnrolmentRefused(code)
    raise Unreachable


def ask(url, body, check):
    answer = post(url, body)
    try:
        check(answer)
    except wire.Malformed as fault:
        raise Unreachable from fault
    return answer


def claims_of(token, header):
    """E-13: the claims of a token whose header is these bytes and no others; its signature is not looked at."""
    parts = token.split('.')
    wire.require(len(parts) == 3 and parts[0] == b64(header))
    return wire.parse(unb64(parts[1])), f'{parts[0]}.{parts[1]}'.encode(), unb64(parts[2])


def holds_now(claims):
    """E-14."""
    return claims['iat'] - TOLERANCE <= time.time() <= claims['exp'] + TOLERANCE


class Member:
    """What an enrolment gave, on the disk: identity, installation, certifier, addresses."""

    def __init__(self, directory, keys):
        self.path = os.path.join(directory, 'identity.json')
        self.keys = keys
        self.stored = None
        if os.path.exists(self.path):
            with open(self.path) as file:
                self.take(json.load(file))

    def take(self, stored):
        claims, _, _ = claims_of(stored['identity'], IDENTITY)
        wire.claims_of_identity(claims)
        ours = {'iss': stored['installation'], 'sig': self.keys.sig, 'kex': self.keys.kex}
        wire.require(ours.items() <= claims.items())
        wire.require(claims['sub'] == agent_id(stored['installation'], self.keys.sig))
        wire.require(any(url.startswith(('ws:', 'wss:')) for url in stored['bus']))
        self.stored, self.claims = stored, claims

    def keep(self, stored):
        try:
            self.take(stored)
        except wire.Malformed as fault:
            raise Unreachable from fault
        write_privately(self.path, stored)

    def enrol(self, code):
        """E-4 to E-7. The code names the certifier: another one is another installation."""
        url, certifier, secret = read_code(code)
        challenge = ask(f'{url}/v1/enrol/challenge', {}, challenge_answer)
        proof = self.keys.proof('co-pilot-enrol-1', challenge['installation'], challenge['challenge'])
        body = {
            'method': 'code',
            'code': secret,
            'challenge': challenge['challenge'],
            'sig': self.keys.sig,
            'kex': self.keys.kex,
            'proof': proof,
        }
        answer = ask(f'{url}/v1/enrol', body, enrolment_answer)
        if answer['certifier'] != certifier or answer['installation'] != challenge['installation']:
            raise EnrolmentRefused('ENROLMENT_REFUSED')
        names = ['identity', 'installation', 'certifier', 'bus']
        self.keep({**{name: answer[name] for name in names}, 'url': url})

    def renew(self):
        """E-11."""
        url, installation = self.stored['url'], self.stored['installation']
        challenge = ask(f'{url}/v1/enrol/challenge', {}, challenge_answer)['challenge']
        proof = self.keys.proof('co-pilot-renew-1', installation, challenge)
        body = {'identity': self.stored['identity'], 'challenge': challenge, 'proof': proof}
        answer = ask(f'{url}/v1/identity/renew', body, renewal_answer)
        if answer['certifier'] != self.stored['certifier']:
            raise Unreachable
        buses = answer.get('bus', self.stored['bus'])
        self.keep({**self.stored, 'identity': answer['identity'], 'bus': buses})

    def renewal_due(self):
        """Seconds until two thirds of the identity's time are over."""
        start, end = self.claims['iat'], self.claims['exp']
        return start + (end - start) * 2 / 3 - time.time()

    def believes(self, certificate, static):
        """S-6: the claims of a broker's certificate; refuses whatever is wrong with it."""
        claims, signed, signature = claims_of(certificate, CERTIFICATE)
        try:
            Ed25519PublicKey.from_public_bytes(unb64(self.stored['certifier'])).verify(signature, signed)
        except InvalidSignature as fault:
            raise wire.Malformed from fault
        wire.claims_of_certificate(claims)
        wire.require(claims['iss'] == self.stored['installation'])
        wire.require(claims['kex'] == b64(static) and holds_now(claims))
        return claims
