{{/* Mistakes that lie between two values; all at once. */}}
{{- define "spark-examples.validate" -}}
{{- $problems := list -}}
{{- with .Values.iceberg -}}
{{- if and .enabled (not .catalog) (not .warehouse) -}}
{{- $problems = append $problems "iceberg.enabled needs iceberg.catalog, a catalogue of spark-platform, or iceberg.warehouse, a place that all pods reach such as s3a://lake/warehouse." -}}
{{- end -}}
{{- if and .catalog .warehouse -}}
{{- $problems = append $problems (printf "iceberg.catalog %q and iceberg.warehouse %q both say where tables lie: leave one of them out." .catalog .warehouse) -}}
{{- end -}}
{{- if and .enabled .warehouse (hasPrefix "file:" .warehouse) -}}
{{- $problems = append $problems (printf "iceberg.warehouse %s is on each pod's own disk: driver and executors would not see each other's files. Use a store that all reach, such as s3a://." .warehouse) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.python.indexUrl (not .Values.python.requirements) -}}
{{- $problems = append $problems (printf "python.indexUrl is %s, but python.requirements is empty: list what shall come from there." .Values.python.indexUrl) -}}
{{- end -}}
{{- if not (or .Values.pi.enabled .Values.python.enabled .Values.rapids.enabled .Values.iceberg.enabled .Values.schedule.enabled) -}}
{{- $problems = append $problems "no example is enabled: switch one on, or the component off." -}}
{{- end -}}
{{- with $problems -}}{{- fail (join "\n" .) -}}{{- end -}}
{{- end -}}
