#!/usr/bin/env python3
"""Starts PanDA's pilot, unchanged, as a job of Co-Pilot in pilot mode (docs/pilot-mode.md).

usage: run-pilot.py PILOT_DIR QUEUE ENDPOINT[,ENDPOINT...] [PILOT_ARGUMENT...]

Writes into the current directory what the pilot would ask its information system for: the queue, with copytool mv for everything, and its
storage, a local directory. Then becomes the pilot.
"""
import json
import os
import sys

ACTIVITIES = ('pr', 'pw', 'pl', 'default')


def queue_data(queue, endpoints):
    return {
        'nickname': queue, 'name': queue, 'panda_resource': queue, 'resource': queue, 'atlas_site': queue, 'site': queue,
        'state': 'ACTIVE', 'status': 'online', 'type': 'unified', 'cmtconfig': '', 'appdir': '', 'catchall': '', 'container_type': '',
        'container_options': '', 'environ': '', 'is_cvmfs': False, 'use_pcache': False, 'corecount': 1, 'timefloor': 0, 'maxwdir': 0,
        'maxtime': 0, 'maxrss': 0, 'maxinputsize': 0, 'params': {'internet_protocol_version': 'IPv4'},
        'copytools': {'mv': {'setup': ''}},
        'acopytools': {activity: ['mv'] for activity in ACTIVITIES},
        'astorages': {activity: endpoints for activity in ACTIVITIES},
    }


def storage_data(queue, endpoints, directory):
    protocol = {'id': 1, 'endpoint': 'file://localhost', 'path': directory + '/', 'resource': {}}
    activities = ('read_lan', 'write_lan', 'delete_lan', 'read_wan', 'write_wan', 'delete_wan', 'pr', 'pw', 'pl')
    # The pilot reads a protocol as [scheme and host, order, path].
    lists = {activity: [[protocol['endpoint'], 1, protocol['path']]] for activity in activities}
    return {name: {'id': number, 'name': name, 'state': 'ACTIVE', 'site': queue, 'type': 'TEST', 'token': '', 'is_deterministic': True,
                   'arprotocols': lists, 'rprotocols': {'1': protocol}}
            for number, name in enumerate(endpoints, 1)}


def write(name, value):
    with open(name, 'w') as file:
        json.dump(value, file)


def main():
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    pilot, queue, endpoints = sys.argv[1], sys.argv[2], sys.argv[3].split(',')
    data = queue_data(queue, endpoints)
    storage = storage_data(queue, endpoints, os.environ['COPILOT_PILOT_OUTPUTS'])
    write('queuedata.json', data)
    # By the names that the pilot's plug-ins of the experiments look for.
    for name in ('agis_schedconf.json', f'agis_schedconf.agis.{queue}.json', 'cric_pandaqueues.json'):
        write(name, {queue: data})
    names = '_'.join(sorted(endpoints))
    for name in ('agis_ddmendpoints.json', f'agis_ddmendpoints.agis.{names}.json', 'agis_ddmendpoints.agis.ALL.json', 'cric_ddmendpoints.json'):
        write(name, storage)
    if not os.path.isdir('/cvmfs'):
        os.environ.setdefault('NO_CVMFS_OK', 'True')
    url = os.environ['COPILOT_PILOT_URL'].rsplit(':', 1)[0]
    words = ['python3', os.path.join(pilot, 'pilot.py'), '--url', url, '-p', os.environ['COPILOT_PILOT_PORT'], '-q', queue,
             '-t', '-u', '--pilot-user', 'generic', '--use-rucio-traces', 'False', *sys.argv[4:]]
    os.execvp(words[0], words)


main()
