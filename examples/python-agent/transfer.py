"""Files over HTTP, each with a capability and a proof of the key (docs/protocol.md, C)."""

import base64
import hashlib
import http.client
import json
import os
import random
import re
import secrets
import time
from urllib.parse import urlsplit

from identity import b64, connect

PIECE = 65_536
LONGEST_WAIT = 30
IN_VAIN = 1_800
RESUMED = 'application/offset+octet-stream'

# C-19: what the same capability may do later. Everything else needs another one.
LATER = {
    'DPOP_NONCE_REQUIRED', 'DPOP_REPLAYED', 'INTERNAL', 'OFFSET_MISMATCH', 'STORAGE_BUSY',
    'STORAGE_FULL', 'UNREACHABLE', 'UPLOAD_BUSY', 'UPLOAD_STALLED',
}


class Stopped(Exception):
    """The attempt is over; nobody needs the file any more."""


class Failed(Exception):
    """The storage's refusal, by its code; or what is wrong with a file."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Storage:
    """Moves files. It blocks: each transfer runs in a thread, and looks at `stop` with every piece."""

    def __init__(self, keys):
        self.keys = keys
        self.nonces = {}

    def fetch(self, capability, path, size, digest, stop):
        """An input, whole and verified (C-9); what broke goes on by a range."""
        with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), 'r+b') as file:
            self.patiently(stop, lambda: self.fetch_on(capability, file, size, stop))
            if digest_of(file, stop) != digest:
                file.truncate(0)
                raise Failed('DIGEST_MISMATCH')

    def fetch_on(self, capability, file, size, stop):
        have = file.seek(0, os.SEEK_END)
        if have >= size > 0:
            return
        headers = {'Range': f'bytes={have}-{size - 1}'} if have else {}
        with Exchange(self, 'GET', capability, headers) as response:
            if response.status == 206 and response.getheader('Content-Range', '').startswith(f'bytes {have}-'):
                pass
            elif response.status == 200:
                file.seek(0)
                file.truncate()
                have = 0
            else:
                raise Failed(code_of(response))
            while piece := response.read1(min(PIECE, size - have + 1)):
                look_at(stop)
                have += len(piece)
                if have > size:
                    file.truncate(0)
                    raise Failed('DIGEST_MISMATCH')
                file.write(piece)
        if have < size:
            raise Failed('UNREACHABLE')

    def upload(self, capability, file, size, digest, stop):
        """An output. Where an earlier try left something, only the rest is sent (C-11, C-12)."""
        state = {'begun': False}
        self.patiently(stop, lambda: self.upload_on(capability, file, size, digest, stop, state))

    def upload_on(self, capability, file, size, digest, stop, state):
        # The first request of all brings the nonce that a proof needs, and carries no file for nothing (C-5).
        offset = 0
        if state['begun'] or origin(capability['url']) not in self.nonces:
            offset = self.offset_of(capability, size)
        state['begun'] = True
        if offset == size:
            offset = 0  # whole, but whose bytes? PUT is answered 200 where they are these (C-10)
        whole = f'sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:'
        headers = {'Content-Length': str(size - offset), 'Repr-Digest': whole}
        method = 'PUT'
        if offset > 0:
            method = 'PATCH'
            headers |= {
                'Content-Type': RESUMED, 'Upload-Offset': str(offset), 'Upload-Length': str(size)
            }
        with Exchange(self, method, capability, headers, pieces(file, offset, size, stop)) as response:
            if response.status not in (200, 201, 204):
                raise Failed(code_of(response))

    def offset_of(self, capability, size):
        """How much of the file is there; a file that was begun with another size is begun again."""
        with Exchange(self, 'HEAD', capability, {}) as response:
            if response.status == 404:
                return 0
            if response.status not in (200, 204):
                raise Failed(code_of(response))
            offset, length = response.getheader('Upload-Offset', ''), response.getheader('Upload-Length', '')
            is_ours = length == str(size) and offset.isascii() and offset.isdigit() and int(offset) <= size
            return int(offset) if is_ours else 0

    def patiently(self, stop, step):
        """Tries again after what passes by itself, with growing random waits (C-19); gives up after half an hour in vain."""
        wait, since, had_nonce = 0.1, time.monotonic(), False
        while True:
            look_at(stop)
            try:
                return step()
            except (OSError, http.client.HTTPException, Failed) as fault:
                code = fault.code if isinstance(fault, Failed) else 'UNREACHABLE'
                if code not in LATER or time.monotonic() - since > IN_VAIN:
                    raise Failed(code) from fault
            if code == 'DPOP_NONCE_REQUIRED' and not had_nonce:
                had_nonce = True  # the answer brought one (C-5)
                continue
            stop.wait(random.uniform(wait / 2, wait))
            wait = min(wait * 2, LONGEST_WAIT)

    def proof(self, method, capability):
        """C-4."""
        jwk = {'crv': 'Ed25519', 'kty': 'OKP', 'x': self.keys.sig}
        claims = {
            'jti': secrets.token_urlsafe(16),
            'htm': method,
            'htu': capability['url'],
            'iat': int(time.time()),
            'ath': b64(hashlib.sha256(capability['token'].encode()).digest()),
        }
        nonce = self.nonces.get(origin(capability['url']))
        if nonce is not None:
            claims['nonce'] = nonce
        head = {'typ': 'dpop+jwt', 'alg': 'EdDSA', 'jwk': jwk}
        signed = '.'.join(b64(json.dumps(part, separators=(',', ':')).encode()) for part in (head, claims))
        return f'{signed}.{self.keys.sign(signed.encode())}'


class Exchange:
    """One request and the beginning of its answer."""

    def __init__(self, storage, method, capability, headers, body=None):
        self.storage, self.method, self.capability = storage, method, capability
        self.headers, self.body = headers, body

    def __enter__(self):
        url = self.capability['url']
        parts = urlsplit(url)
        try:
            self.connection = connect(parts)
        except ValueError as fault:
            raise Failed('MALFORMED_REQUEST') from fault
        headers = {
            'Authorization': f'DPoP {self.capability["token"]}',
            'DPoP': self.storage.proof(self.method, self.capability),
            **self.headers,
        }
        target = parts.path + (f'?{parts.query}' if parts.query else '')
        response = self.send(target, headers)
        nonce = response.getheader('DPoP-Nonce')
        if nonce is not None and len(nonce) <= 256 and nonce.isascii() and nonce.isprintable():
            self.storage.nonces[origin(url)] = nonce
        return response

    def send(self, target, headers):
        try:
            self.connection.request(self.method, target, self.body, headers)
        except (BrokenPipeError, ConnectionResetError):
            pass  # a refusal may come before the body is through: it is read below
        return self.connection.getresponse()

    def __exit__(self, *_):
        self.connection.close()


def origin(url):
    return url[: url.index('/', 8)] if '/' in url[8:] else url


def code_of(response):
    """C-8; an answer without a code, such as a redirect, is final unless the storage blames itself."""
    code = response.getheader('Error-Code', '')
    if re.fullmatch('[A-Z][A-Z_]{0,63}', code):
        return code
    return 'INTERNAL' if response.status >= 500 else 'MALFORMED_REQUEST'


def look_at(stop):
    if stop.is_set():
        raise Stopped


def pieces(file, offset, size, stop):
    file.seek(offset)
    while offset < size:
        look_at(stop)
        piece = file.read(min(PIECE, size - offset))
        if not piece:
            raise Failed('DIGEST_MISMATCH')
        offset += len(piece)
        yield piece


def digest_of(file, stop):
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(PIECE):
        look_at(stop)
        digest.update(piece)
    return digest.hexdigest()
