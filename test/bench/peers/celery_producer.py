"""Asks Celery for jobs in groups of as many as shall be under way: `celery_producer.py <in flight> <seconds>`; prints one JSON object."""

import json
import sys
import time

from celery import group

from celery_app import run

# The payload that every peer carries; read from standard input.
DESCRIPTION = json.load(sys.stdin)


def jobs(count, first):
    return [run.s({**DESCRIPTION, "job": f"job-{first + index}"}) for index in range(count)]


def main(in_flight, seconds):
    latencies = []
    started = time.perf_counter()
    while time.perf_counter() < started + seconds:
        began = time.perf_counter()
        group(jobs(in_flight, len(latencies))).apply_async().get(timeout=60)
        latencies += [(time.perf_counter() - began) * 1000] * in_flight
    elapsed = time.perf_counter() - started
    latencies.sort()
    print(
        json.dumps(
            {
                "done": len(latencies),
                "perSecond": len(latencies) / elapsed,
                "p50Ms": latencies[len(latencies) // 2],
                "p95Ms": latencies[int(len(latencies) * 0.95)],
            }
        )
    )


main(int(sys.argv[1]), float(sys.argv[2]))
