"""Counts words over Spark, with a module of the application's own (textstats.py) on driver and executors."""

import importlib.metadata
import sys

import textstats
from pyspark.sql import SparkSession


def main(requirements: list[str]) -> None:
    spark = SparkSession.builder.appName("example-python").getOrCreate()
    lines = spark.sparkContext.parallelize(textstats.SAMPLE, 4)
    counts = lines.flatMap(textstats.words).map(lambda word: (word, 1)).reduceByKey(lambda a, b: a + b)
    table = spark.createDataFrame(counts, ["word", "number"]).orderBy("number", "word", ascending=[False, True])
    for row in table.limit(5).collect():
        print(f"{row['word']}: {row['number']}")
    for name in requirements:

        def version(_: int, name: str = name) -> str:
            return importlib.metadata.version(name)

        found = set(spark.sparkContext.parallelize(range(4), 4).map(version).collect())
        print(f"{name} on executors: {', '.join(sorted(found))}")
    print(f"counted {table.agg({'number': 'sum'}).collect()[0][0]} words")
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
