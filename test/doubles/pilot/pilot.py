"""A stand-in for PanDA's pilot: the HTTP, the order of updates and the stage-out of pilot3 3.11, without its payload environment.

usage: pilot.py --url URL -p PORT -q QUEUE

Runs the job it gets in a directory below the current one (`jobPars` as arguments of the program here that `transformation` names), writes its log
tarball, moves both to a storage directory by the deterministic path, and reports as the pilot does.
"""
import argparse
import gzip
import hashlib
import io
import json
import os
import shlex
import subprocess
import tarfile
import time
import urllib.parse
import urllib.request
import zlib

AGENT = 'pilot/3.11.5.1 (Python 3.11.2; Linux x86_64)'


def compress(data):
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode='w') as packed:
        packed.write(json.dumps(data).encode())
    return out.getvalue()


class Server:
    def __init__(self, url, port):
        self.base = f'{url}:{port}'

    def send(self, method, data):
        """Compressed JSON without Content-Encoding; a form asking for JSON where that brings nothing."""
        answer = self.primary(method, data)
        return answer if answer else self.fallback(method, data)

    def primary(self, method, data):
        headers = {'User-Agent': AGENT, 'Content-Type': 'application/json'}
        token = os.environ.get('OIDC_AUTH_TOKEN')
        if token:
            with open(token) as file:
                headers['Authorization'] = f'Bearer {file.read()}'
            headers['Origin'] = os.environ['OIDC_AUTH_ORIGIN']
        url = f'{self.base}/server/panda/{method}'
        try:
            with urllib.request.urlopen(urllib.request.Request(url, compress(data), headers)) as answer:
                text = answer.read().decode()
        except (urllib.error.URLError, ConnectionError):
            return None
        if text.startswith('{'):
            return json.loads(text)
        return {name: values[0] for name, values in urllib.parse.parse_qs(text).items()}

    def fallback(self, method, data):
        headers = {'User-Agent': AGENT, 'Accept': 'application/json'}
        url = f'{self.base}/server/panda/{method}'
        body = urllib.parse.urlencode(data).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
                return json.loads(answer.read().decode())
        except (urllib.error.URLError, ConnectionError, ValueError):
            return None


def store_path(scope, lfn):
    digest = hashlib.md5(f'{scope}:{lfn}'.encode()).hexdigest()
    return os.path.join(*scope.split('.'), digest[0:2], digest[2:4], lfn)


def stage_out(store, scope, lfn, guid):
    with open(lfn, 'rb') as file:
        data = file.read()
    target = os.path.join(store, store_path(scope, lfn))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    subprocess.run(['mv', lfn, target], check=True)
    return {'guid': guid, 'fsize': len(data), 'adler32': f'{zlib.adler32(data):08x}', 'surl': f'file://localhost{target}',
            'endpoint': 'CP_DISK'}


def update(server, job, state, more):
    data = {'jobId': str(job['PandaID']), 'state': state, 'timestamp': time.strftime('%Y-%m-%dT%H:%M:%S+00:00', time.gmtime()),
            'siteName': job['queue'], 'node': os.uname().nodename, 'attemptNr': int(job['attemptNr']), 'schedulerID': 'unknown',
            'pilotID': 'unknown|PR|3.11.5.1', 'startTime': job['start'], **more}
    return server.send('updateJob', data) or {}


def run(server, job):
    outputs = [name for name in job['outFiles'].split(',') if name != job['logFile']]
    update(server, job, 'starting', {})
    if 'tobekilled' in update(server, job, 'running', {'xml': '', 'metaData': ''}).get('command', ''):
        return update(server, job, 'failed', {'xml': '', 'pilotErrorCode': 1144})
    os.mkdir(f"PanDA_Pilot-{job['PandaID']}")
    os.chdir(f"PanDA_Pilot-{job['PandaID']}")
    program = os.path.join('..', os.path.basename(job['transformation']))
    done = subprocess.run([program, *shlex.split(job['jobPars'])], capture_output=True)
    with tarfile.open(job['logFile'], 'w:gz') as log:
        for name, content in (('payload.stdout', done.stdout), ('payload.stderr', done.stderr)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            log.addfile(entry, io.BytesIO(content))
    store = os.environ['COPILOT_PILOT_OUTPUTS']
    scopes = {**{name: job['scopeOut'].split(',')[at] for at, name in enumerate(outputs)}, job['logFile']: job['scopeLog']}
    kept = [*outputs, job['logFile']] if done.returncode == 0 else [job['logFile']]
    report = {name: stage_out(store, scopes[name], name, job['logGUID']) for name in kept}
    codes = {'transExitCode': done.returncode, 'exeErrorCode': 0, 'exeErrorDiag': '', 'pilotLog': '', 'pilotTiming': '0|0|1|0|0|0',
             'endTime': time.time()}
    if done.returncode == 0:
        return update(server, job, 'finished', {'xml': json.dumps(report), 'pilotErrorCode': 0, 'pilotErrorDiag': '', **codes})
    return update(server, job, 'failed', {'xml': json.dumps(report), 'pilotErrorCode': 1305,
                                          'pilotErrorDiag': 'Failed to execute payload', **codes})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--url', required=True)
    parser.add_argument('-p', required=True)
    parser.add_argument('-q', required=True)
    given, _others = parser.parse_known_args()
    server = Server(given.url, given.p)
    worker = {'workerID': '501', 'harvesterID': 'cp_harvester', 'site': given.q, 'node_id': os.uname().nodename}
    server.send('updateWorkerPilotStatus', {**worker, 'status': 'started'})
    job = server.send('getJob', {'siteName': given.q, 'computingElement': given.q, 'prodSourceLabel': 'user', 'diskSpace': 1000,
                                 'workingGroup': '', 'cpu': 2596.124, 'mem': 24105.56, 'node': os.uname().nodename, 'jobType': 'user',
                                 'allowOtherCountry': False})
    if not job or str(job.get('StatusCode')) != '0':
        raise SystemExit(82)
    run(server, {**job, 'queue': given.q, 'start': time.time()})
    server.send('updateWorkerPilotStatus', {**worker, 'status': 'finished'})


main()
