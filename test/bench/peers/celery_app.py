"""Celery as its guide says where no job may be lost: durable queue, persistent messages, publisher confirms, late acknowledgement."""

import os

from celery import Celery

app = Celery("bench", broker=os.environ["CELERY_BROKER_URL"], backend="rpc://")
app.conf.update(
    broker_transport_options={"confirm_publish": True},
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_default_delivery_mode="persistent",
    worker_prefetch_multiplier=4,
    worker_hijack_root_logger=False,
    broker_heartbeat=0,
)


@app.task(name="run")
def run(job):
    return {"job": job["job"], "exit": 0}
