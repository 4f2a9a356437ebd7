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

{{/* Name of the chart's own objects in its own namespace. */}}
{{- define "spark-platform.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "spark-platform.image" -}}
{{- with .Values.image -}}
{{- printf "%s/%s" .registry .repository -}}
{{- if .digest -}}@{{ .digest }}{{- else -}}:{{ .tag }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of one workload; part of its labels. Argument: dict root component. */}}
{{- define "spark-platform.selector" -}}
app.kubernetes.io/name: spark-platform
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Security contexts that pod-security level `restricted` asks for. */}}
{{- define "spark-platform.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ int .Values.image.uid }}
runAsGroup: {{ int .Values.image.uid }}
fsGroup: {{ int .Values.image.uid }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "spark-platform.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* The namespace of the history server: the claim's, where the log lies on a volume, else the release's. */}}
{{- define "spark-platform.historyNamespace" -}}
{{- if .Values.historyServer.namespace -}}
{{- .Values.historyServer.namespace -}}
{{- else if hasPrefix "file:" .Values.sparkDefaults.eventLog.dir -}}
{{- (first .Values.jobNamespaces).name -}}
{{- else -}}
{{- .Release.Namespace -}}
{{- end -}}
{{- end -}}

{{- define "spark-platform.connectNamespace" -}}
{{- default (first .Values.jobNamespaces).name .Values.connect.namespace -}}
{{- end -}}

{{/* Name of the claim with the event logs; empty where they are not on one. */}}
{{- define "spark-platform.eventLogClaim" -}}
{{- with .Values.sparkDefaults.eventLog -}}
{{- if and .enabled (hasPrefix "file:" .dir) -}}
{{- default "spark-events" .volume.existingClaim -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The job namespace of that name, complete, as JSON; {} where there is none. Argument: dict root name. */}}
{{- define "spark-platform.namespaceNamed" -}}
{{- $found := dict -}}
{{- range (include "spark-platform.namespaces" .root | fromJsonArray) -}}
{{- if eq .name $.name -}}{{- $found = . -}}{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* The port of a URL, or that of its scheme. */}}
{{- define "spark-platform.port" -}}
{{- $host := regexReplaceAll "^[a-z0-9+]+://" . "" | regexFind "^[^/]*" -}}
{{- $port := regexFind ":[0-9]+$" $host | trimPrefix ":" -}}
{{- if $port -}}{{- $port -}}
{{- else if hasPrefix "http:" . -}}80
{{- else if hasPrefix "thrift:" . -}}9083
{{- else -}}443
{{- end -}}
{{- end -}}
