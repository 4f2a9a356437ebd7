"""A DataFrame job: two tables are joined, grouped and ordered; a file is written and read where all is one node."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

spark = SparkSession.builder.getOrCreate()
sales = spark.range(10_000).select((f.col("id") % 7).alias("shop"), (f.col("id") % 100).alias("amount"))
shops = spark.createDataFrame([(i, f"shop-{i}") for i in range(5)], ["shop", "name"])
totals = sales.join(shops, "shop", "left").groupBy(f.coalesce("name", f.lit("unknown")).alias("name"))
rows = totals.agg(f.sum("amount").alias("total"), f.count("*").alias("sales")).orderBy("name").collect()
for row in rows:
    print(f"total of {row['name']}: {row['total']} in {row['sales']} sales")
spark.stop()
