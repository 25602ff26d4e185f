"""Real servers on this machine, for the demo, the tests and the benchmarks.

Each is started on a free loopback port, keeps its files in ``directory/<its name>``, and
ends with the process that started it, however that ends (`flows.servers.launch`)::

    with KafkaBroker(path) as kafka, Valkey(path) as valkey, Postgres(path) as postgres:
        ...  # kafka.bootstrap, valkey.url, postgres.dsn

``stop()`` or ``kill()`` and then ``start()`` bring a server back with its port and its data.
"""

from flows.servers.kafka import KafkaBroker
from flows.servers.postgres import Postgres
from flows.servers.process import start_all
from flows.servers.valkey import Valkey

__all__ = ["KafkaBroker", "Postgres", "Valkey", "start_all"]
