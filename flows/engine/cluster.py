"""How flows and commands reach Kafka, by the settings."""

from __future__ import annotations

from connectors.kafka.client import Cluster
from flows.settings.servers import Kafka
from flows.settings.settings import Settings


def cluster_of(kafka: Kafka) -> Cluster:
    """Return how to reach Kafka; raises SettingsError where an option is not the user's to set."""
    return Cluster(
        bootstrap=kafka.bootstrap,
        security_protocol=kafka.security_protocol,
        sasl_mechanism=kafka.sasl_mechanism,
        sasl_username=kafka.sasl_username,
        sasl_password=kafka.sasl_password.get_secret_value(),
        ssl_ca=kafka.ssl_ca,
        options=kafka.options,
    )


def group_name(settings: Settings, system: str, generation: int) -> str:
    """Return the consumer group of one generation of a flow, where tools see its lag."""
    return f"{settings.kafka.group}.{system}.{generation}"
