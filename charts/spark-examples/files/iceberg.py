"""Writes an Iceberg table twice, reads it, its snapshots, and the first state of it again."""

import sys

from pyspark.sql import SparkSession


def main(catalog: str) -> int:
    spark = SparkSession.builder.appName("example-iceberg").getOrCreate()
    table = f"{catalog}.examples.measurements"
    spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {catalog}.examples")
    spark.sql(f"DROP TABLE IF EXISTS {table} PURGE")
    spark.sql(f"CREATE TABLE {table} (id BIGINT, value DOUBLE) USING iceberg PARTITIONED BY (bucket(4, id))")
    for start in (0, 1000):
        spark.range(start, start + 1000).selectExpr("id", "id / 10.0D AS value").writeTo(table).append()
    history = spark.sql(f"SELECT snapshot_id FROM {table}.snapshots ORDER BY committed_at")
    snapshots = [row["snapshot_id"] for row in history.collect()]
    now = spark.table(table).count()
    then = spark.read.option("snapshot-id", snapshots[0]).table(table).count()
    print(f"snapshots: {len(snapshots)}, rows: {now}, rows of the first: {then}")
    spark.stop()
    return 0 if (len(snapshots), now, then) == (2, 2000, 1000) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
