package org.apache.spark.examples;

import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;

/** What Spark's own example of this name does, written for these tests: pyspark on PyPI brings no Scala examples. */
public final class SparkPi {
  private static final int POINTS = 100_000;

  /** Estimates pi in as many tasks as the argument says; 2 without one. */
  public static void main(String[] arguments) {
    int slices = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 2;
    try (JavaSparkContext context = new JavaSparkContext(new SparkConf().setAppName("Spark Pi"))) {
      long inside = context
          .parallelize(IntStream.range(0, slices).boxed().collect(Collectors.toList()), slices)
          .map(SparkPi::inside)
          .reduce(Long::sum);
      System.out.println("Pi is roughly " + 4.0 * inside / ((double) POINTS * slices));
    }
  }

  /** How many of the points of this slice lie in the circle; each slice has a seed of its own. */
  private static long inside(int slice) {
    SplittableRandom random = new SplittableRandom(slice);
    return IntStream.range(0, POINTS)
        .filter(point -> Math.pow(random.nextDouble(), 2) + Math.pow(random.nextDouble(), 2) <= 1)
        .count();
  }
}
