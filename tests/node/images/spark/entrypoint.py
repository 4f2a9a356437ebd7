#!/usr/bin/python3
"""What Spark on Kubernetes starts its pods with: `driver …` and `executor`; anything else is run as it is.

The names of the environment variables are Spark's: it sets them on the pods that it makes.
"""

import os
import re
import sys

HOME = os.environ["SPARK_HOME"]


def driver(arguments):
    """spark-submit in this pod, whose address executors call."""
    address = os.environ["SPARK_DRIVER_BIND_ADDRESS"]
    settings = {"spark.driver.bindAddress": address, "spark.executorEnv.SPARK_DRIVER_POD_IP": address}
    words = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    return [f"{HOME}/bin/spark-submit", *words, "--deploy-mode", "client", *arguments]


def executor(_arguments):
    """The executor's JVM, with its options in the order of their numbers."""
    given = os.environ
    numbered = sorted((int(m[1]), v) for k, v in given.items() if (m := re.fullmatch(r"SPARK_JAVA_OPT_(\d+)", k)))
    memory = given["SPARK_EXECUTOR_MEMORY"]
    path = ":".join(filter(None, (given.get("SPARK_CONF_DIR"), given.get("SPARK_CLASSPATH"), f"{HOME}/jars/*")))
    options = {
        "--driver-url": "SPARK_DRIVER_URL",
        "--executor-id": "SPARK_EXECUTOR_ID",
        "--cores": "SPARK_EXECUTOR_CORES",
        "--app-id": "SPARK_APPLICATION_ID",
        "--hostname": "SPARK_EXECUTOR_POD_IP",
        "--resourceProfileId": "SPARK_RESOURCE_PROFILE_ID",
        "--podName": "SPARK_EXECUTOR_POD_NAME",
    }
    words = [word for option, name in options.items() for word in (option, given[name])]
    backend = "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"
    java = f"{given['JAVA_HOME']}/bin/java"
    return [java, *(v for _, v in numbered), f"-Xms{memory}", f"-Xmx{memory}", "-cp", path, backend, *words]


def main():
    """Become the program that is asked for; the pod's signals reach it."""
    role, *arguments = sys.argv[1:] or ["/bin/sh"]
    command = {"driver": driver, "executor": executor}.get(role, lambda rest: [role, *rest])(arguments)
    sys.stdout.flush()
    os.execvp(command[0], command)


main()
