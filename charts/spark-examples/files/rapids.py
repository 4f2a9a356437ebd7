"""Joins and sums two generated tables, and says whether the plan ran on GPUs. Nothing in it knows of GPUs."""

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f


def main(rows: int) -> int:
    spark = SparkSession.builder.appName("example-rapids").getOrCreate()
    sales = spark.range(rows).select((f.col("id") % 1000).alias("shop"), (f.col("id") % 97).alias("amount"))
    shops = spark.range(1000).select(f.col("id").alias("shop"), (f.col("id") % 10).alias("region"))
    totals = sales.join(shops, "shop").groupBy("region").agg(f.sum("amount").alias("total"))
    result = {row["region"]: row["total"] for row in totals.collect()}
    plan = totals._jdf.queryExecution().executedPlan().toString()
    expected = sum(range(97)) * (rows // 97) + sum(range(rows % 97))
    print(f"regions: {len(result)}, total: {sum(result.values())}, expected: {expected}")
    print(f"on GPU: {'Gpu' in plan}")
    spark.stop()
    return 0 if sum(result.values()) == expected and "Gpu" in plan else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
