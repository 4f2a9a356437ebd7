{{/* The versions of Spark and Scala in the image, and in the names of what is put on its class path. */}}

{{/* JSON: "spark" is MAJOR.MINOR and "scala" is 2.12 or 2.13 of the image; empty where its name does not tell. */}}
{{- define "spark-platform.imageVersions" -}}
{{- $tag := toString .Values.image.tag -}}
{{- $spark := regexFind "^[34]\\.[0-9]+" (regexFind "^[34]\\.[0-9]+\\.[0-9]+" $tag) -}}
{{- $scala := regexFind "[0-9]+\\.[0-9]+" (regexFind "scala-?2\\.[0-9]+" $tag) -}}
{{- if not $scala -}}
{{- if hasPrefix "4." $spark -}}{{- $scala = "2.13" -}}{{- end -}}
{{- /* The project's own images of Spark 3 without Scala in their tag are of its default. */ -}}
{{- if and (hasPrefix "3." $spark) (or (eq .Values.image.repository "apache/spark") (hasSuffix "/apache/spark" .Values.image.repository)) -}}{{- $scala = "2.12" -}}{{- end -}}
{{- end -}}
{{- toJson (dict "spark" $spark "scala" $scala) -}}
{{- end -}}

{{- define "spark-platform.versionProblems" -}}
{{- $problems := list -}}
{{- $d := .Values.sparkDefaults -}}
{{- $image := include "spark-platform.imageVersions" . | fromJson -}}
{{- $used := list -}}
{{- range $i, $package := $d.packages -}}{{- $used = append $used (dict "path" (printf "sparkDefaults.packages[%d]" $i) "name" $package) -}}{{- end -}}
{{- if and $d.iceberg.catalogs $d.iceberg.package -}}{{- $used = append $used (dict "path" "sparkDefaults.iceberg.package" "name" $d.iceberg.package) -}}{{- end -}}
{{- if $d.rapids.enabled -}}{{- $used = append $used (dict "path" "sparkDefaults.rapids.jar" "name" (base $d.rapids.jar)) -}}{{- end -}}
{{- range $used -}}
{{- /* iceberg-spark-runtime-4.0_2.13, hudi-spark3.5-bundle_2.12, rapids-4-spark_2.13, org.apache.spark:spark-avro_2.13:4.0.4 */ -}}
{{- $scala := regexFind "_2\\.1[0-9]" .name | trimPrefix "_" -}}
{{- $spark := regexFind "[34]\\.[0-9]+" (regexFind "spark(-runtime-)?[34]\\.[0-9]+" .name) -}}
{{- if hasPrefix "org.apache.spark:" .name -}}{{- $spark = regexFind "^[34]\\.[0-9]+" (splitList ":" .name | last) -}}{{- end -}}
{{- $wrong := list -}}
{{- $right := .name -}}
{{- if and $spark $image.spark (ne $spark $image.spark) -}}
{{- $wrong = append $wrong (printf "Spark %s" $spark) -}}
{{- if not (hasPrefix "org.apache.spark:" .name) -}}{{- $right = replace (printf "%s_" $spark) (printf "%s_" $image.spark) $right | replace (printf "spark%s" $spark) (printf "spark%s" $image.spark) -}}{{- end -}}
{{- end -}}
{{- if and $scala $image.scala (ne $scala $image.scala) -}}
{{- $wrong = append $wrong (printf "Scala %s" $scala) -}}
{{- $right = replace (printf "_%s" $scala) (printf "_%s" $image.scala) $right -}}
{{- end -}}
{{- if $wrong -}}
{{- $artifact := ternary (splitList ":" $right | rest | first) (regexFind "^.*_2\\.1[0-9]" $right) (contains ":" $right) -}}
{{- $of := printf "Spark %s" $image.spark -}}
{{- if $image.scala -}}{{- $of = printf "%s and Scala %s" $of $image.scala -}}{{- end -}}
{{- $version := "" -}}
{{- if hasPrefix "org.apache.spark:" .name -}}{{- $version = printf ", of the image's version %s" (regexFind "^[0-9.]+[0-9]" (toString $.Values.image.tag)) -}}{{- end -}}
{{- $problems = append $problems (printf "%s is for %s (%s), but image.tag %s has %s: jobs would fail with missing classes or methods. Take %s%s, or an image of %s." .path (join " and " $wrong) .name (toString $.Values.image.tag) $of $artifact $version (join " and " $wrong)) -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}
