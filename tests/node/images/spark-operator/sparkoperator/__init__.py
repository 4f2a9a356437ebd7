"""A Spark operator for tests: SparkApplications of v1beta2 run by spark-submit in cluster mode, and their phase.

What it is not: it has no webhook, runs no ScheduledSparkApplication and no SparkConnect, knows no batch scheduler, and
refuses every field of an application that it does not understand.
"""
