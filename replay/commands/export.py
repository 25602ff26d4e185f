"""``headrace export``: write what the live sinks hold, in the form that replay writes."""

from __future__ import annotations

import argparse

import redis

from connectors.redis.reader import RedisReader
from flows.config import add_config_argument, load_settings
from flows.engine.cluster import cluster_of
from flows.engine.systems import flows_with_outputs, output_topic, outputs_of
from replay import arguments
from replay.export import export_dead, export_output, export_tables
from replay.files import OutputFiles
from replay.printing import print_written
from replay.progress import progress
from state.errors import Misuse
from state.outputs import DEAD


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SYSTEM, --out and --generation."""
    parser.add_argument("system", choices=flows_with_outputs())
    arguments.add_out_directory(parser)
    parser.add_argument(
        "--generation", type=arguments.positive, metavar="N", help="(the one that readers use)"
    )
    add_config_argument(parser)
    arguments.add_json(parser, "the files")


def run(args: argparse.Namespace) -> int:
    """Write outputs and dead letters from their topics, tables from Redis."""
    settings = load_settings(args.config)
    cluster = cluster_of(settings.kafka)
    outputs = outputs_of(args.system)
    files = OutputFiles(args.out, outputs, settings.run.max_dead_bytes)
    try:
        reader = RedisReader(settings.redis.url, args.system, args.generation)
        export_tables(outputs, reader, files)
    except redis.ConnectionError as error:
        raise Misuse("Redis cannot be reached: start it, or set redis.url") from error
    with progress("export", None) as advance:
        for output in outputs:
            topic = output_topic(args.system, output.name)
            export_output(output, topic, reader.keys.generation, cluster, files, advance)
        export_dead(output_topic(args.system, DEAD), cluster, files, advance)
    reader.close()
    print_written(files.write(), as_json=args.json)
    return 0
