{{/* Labels of every object. The chart has no selectors, so nothing here is immutable. */}}
{{- define "spark-platform.labels" -}}
app.kubernetes.io/name: spark-platform
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: sparkrig
app.kubernetes.io/version: {{ .Chart.Version | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/*
JSON of `over` laid over `base` as Helm lays values: maps merge, everything else replaces. Written
out because the template function for it would not let false or 0 replace a true or a number.
*/}}
{{- define "spark-platform.overlay" -}}
{{- $result := deepCopy .base -}}
{{- range $key, $value := .over -}}
{{- if and (kindIs "map" $value) (kindIs "map" (get $result $key)) -}}
{{- $_ := set $result $key (include "spark-platform.overlay" (dict "base" (get $result $key) "over" $value) | fromJson) -}}
{{- else if kindIs "invalid" $value -}}
{{- $_ := unset $result $key -}}
{{- else -}}
{{- $_ := set $result $key $value -}}
{{- end -}}
{{- end -}}
{{- toJson $result -}}
{{- end -}}

{{/* JSON list of the job namespaces, each complete. */}}
{{- define "spark-platform.namespaces" -}}
{{- $all := list -}}
{{- range .Values.jobNamespaces -}}
{{- $all = append $all (include "spark-platform.overlay" (dict "base" $.Values.namespaceDefaults "over" .) | fromJson) -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}

{{/* A Kubernetes quantity (1408Mi, 500m, 1.5, 2G) as a number in text form, in units of one. */}}
{{- define "spark-platform.number" -}}
{{- $factors := dict "" 1 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 -}}
{{- $text := toString . -}}
{{- $unit := regexFind "[mkMGTP]?i?$" $text -}}
{{- mulf (trimSuffix $unit $text | float64) (get $factors $unit) -}}
{{- end -}}
