"""What the broker may say, checked against the bounds of protocol/schemas before anything of it is used (M-1, M-2, X-1)."""

import json
import re

LARGEST = 2**53 - 1


class Malformed(Exception):
    """It breaks its schema."""


def require(condition):
    if not condition:
        raise Malformed


def number(least, most):
    def check(value):
        require(isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most)
    return check


def whole(least, most):
    def check(value):
        require(isinstance(value, int) and not isinstance(value, bool) and least <= value <= most)
    return check


def text(most, pattern=None, least=0):
    shape = re.compile(pattern) if pattern else None

    def check(value):
        require(isinstance(value, str) and least <= len(value) <= most)
        require(shape is None or shape.fullmatch(value))
    return check


def one_of(*values):
    def check(value):
        require(isinstance(value, str) and value in values)
    return check


def always(value):
    require(value is True)


def flag(value):
    require(isinstance(value, bool))


def some(item, most, least=0):
    def check(value):
        require(isinstance(value, list) and least <= len(value) <= most)
        for each in value:
            item(each)
    return check


def mapping(name, item, most):
    def check(value):
        require(isinstance(value, dict) and len(value) <= most)
        for key, each in value.items():
            name(key)
            item(each)
    return check


def record(optional=None, **fields):
    """An object with these fields and no others."""
    allowed = {**fields, **(optional or {})}

    def check(value):
        require(isinstance(value, dict) and fields.keys() <= value.keys() <= allowed.keys())
        for name, each in value.items():
            allowed[name](each)
    return check


def either(*checks):
    def check(value):
        for each in checks:
            try:
                return each(value)
            except Malformed:
                continue
        raise Malformed
    return check


slot = whole(0, 63)
counter = whole(1, LARGEST)
identifier = text(26, '[a-z2-7]{26}')
session_id = text(16, '[0-9a-f]{16}')
attempt_number = whole(1, 1_000_000)
key = text(43, '[A-Za-z0-9_-]{43}')
plain_name = text(64, '[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?', 1)
segment = '[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*'
file_name = text(128, f'{segment}(?:/{segment})*', 1)
digest = text(64, '[0-9a-f]{64}')
size = whole(0, 2**40)
sentence = text(512)
code = text(64, '[A-Z][A-Z0-9_]*', 1)
attempt = record(job=identifier, attempt=attempt_number)
verdict = one_of('verifying', 'waiting', 'committed', 'refused')
verdicts = some(record(job=identifier, attempt=attempt_number, verdict=verdict, reason=sentence), 64)
capability = record(
    verb=one_of('get', 'put'),
    name=file_name,
    url=text(512, 'https?://[!-~]+', 8),
    token=text(2048, '[A-Za-z0-9._~+/=-]+', 1),
)
capabilities = some(capability, 32)
limits = record(
    wallSeconds=whole(1, 2_592_000),
    memoryMiB=whole(16, 16_777_216),
    diskMiB=whole(1, 16_777_216),
    optional={'cpuSeconds': whole(1, 31_104_000), 'processes': whole(1, 65_536)},
)
description = record(
    command=text(1024, r'[^\x00-\x1f]+', 1),
    arguments=some(text(4096, r'[^\x00]*'), 256),
    environment=mapping(text(128, '[A-Za-z_][A-Za-z0-9_]*', 1), text(4096, r'[^\x00]*'), 128),
    inputs=some(record(name=file_name, size=size, sha256=digest, optional={'executable': flag}), 16),
    outputs=some(record(name=file_name, optional={'optional': flag, 'maxBytes': size}), 16),
    limits=limits,
    requirements=text(4096),
    optional={'pilot': record(dialect=one_of('panda')), 'parts': always},
)
seconds = number(0.001, 604_800)
lease = record(
    job=identifier,
    attempt=attempt_number,
    queue=plain_name,
    leaseSeconds=seconds,
    firstRenewSeconds=seconds,
    description=description,
    capabilities=capabilities,
)
no_work = record(
    reason=one_of(
        'no-work', 'no-match', 'cooling-down', 'too-many-attempts', 'draining', 'busy', 'storage-unavailable'
    ),
    retryAfterSeconds=number(0, 86_400),
)


def answer(optional=None, **fields):
    return record(kind=text(16), slot=slot, counter=counter, optional=optional, **fields)


renewed_lease = record(
    job=identifier,
    attempt=attempt_number,
    order=one_of('continue', 'cancel', 'drain'),
    leaseSeconds=number(0, 604_800),
)
MESSAGES = {
    'welcome': record(
        kind=text(16),
        agent=identifier,
        slots=some(record(slot=slot, counter=counter), 64),
        held=some(attempt, 64),
        verdicts=verdicts,
    ),
    'job': answer(lease=lease, verdicts=verdicts),
    'none': answer(none=no_work, verdicts=verdicts),
    'renewed': answer(leases=some(renewed_lease, 64), verdicts=verdicts),
    'reported': answer(
        job=identifier,
        attempt=attempt_number,
        verdict=verdict,
        reason=sentence,
        verdicts=verdicts,
        optional={'next': either(lease, no_work)},
    ),
    'released': answer(job=identifier, attempt=attempt_number, verdicts=verdicts),
    'capabilities': answer(
        job=identifier, attempt=attempt_number, capabilities=capabilities, verdicts=verdicts
    ),
    'error': answer(code=code, message=sentence),
    'farewell': record(kind=text(16), code=code, message=sentence),
    'notice': record(kind=text(16), command=one_of('renew-now', 'drain')),
}
HELLOS = {
    'broker-hello': record(
        kind=text(16),
        certificate=text(1024, '[A-Za-z0-9_.-]+', 1),
        session=session_id,
        versions=some(whole(1, 1000), 8, 1),
        maxSlots=whole(1, 64),
    ),
}
claims_of_certificate = record(
    iss=plain_name,
    instance=plain_name,
    kex=key,
    address=text(200, '[!-~]+', 1),
    iat=whole(0, LARGEST),
    exp=whole(0, LARGEST),
)
claims_of_identity = record(
    iss=plain_name,
    sub=identifier,
    owner=plain_name,
    site=plain_name,
    tier=one_of('untrusted', 'semi-trusted', 'trusted'),
    sig=key,
    kex=key,
    iat=whole(0, LARGEST),
    exp=whole(0, LARGEST),
)


def not_json(_):
    raise Malformed


def parse(data):
    """One JSON value of UTF-8 bytes; NaN and Infinity are none."""
    try:
        return json.loads(data.decode(), parse_constant=not_json, parse_float=plain_number)
    except (ValueError, RecursionError) as fault:
        raise Malformed from fault


def plain_number(literal):
    """1.0 is a whole number to JSON Schema."""
    value = float(literal)
    return int(value) if value.is_integer() else value


def decode(data, kinds=None):
    """A message of the broker, checked."""
    message = parse(data)
    kind = message.get('kind') if isinstance(message, dict) else None
    check = (kinds or MESSAGES).get(kind) if isinstance(kind, str) else None
    require(check is not None)
    check(message)
    return message


def encode(message):
    """A message to the broker, in as few bytes as JSON has; lone surrogates are written as escapes."""
    compact = json.dumps(message, ensure_ascii=False, separators=(',', ':'), allow_nan=False)
    try:
        return compact.encode()
    except UnicodeEncodeError:
        return json.dumps(message, separators=(',', ':'), allow_nan=False).encode()
