{{/* The name of every object. 52 leaves room for suffixes within 63 characters. */}}
{{- define "triton.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* What selectors use: without the version, because selectors cannot be changed later. */}}
{{- define "triton.selectorLabels" -}}
app.kubernetes.io/name: triton
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "triton.labels" -}}
{{ include "triton.selectorLabels" . }}
app.kubernetes.io/component: server
app.kubernetes.io/part-of: sparkrig
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "triton.image" -}}
{{- $name := .Values.image.repository -}}
{{- with .Values.image.registry -}}{{- $name = printf "%s/%s" . $name -}}{{- end -}}
{{- if .Values.image.digest -}}{{ $name }}@{{ .Values.image.digest }}
{{- else -}}{{ $name }}:{{ .Values.image.tag }}{{- end -}}
{{- end -}}

{{/* Recreate where a second pod could not mount the volume, so that an update never hangs. */}}
{{- define "triton.strategy" -}}
{{- $repository := .Values.modelRepository -}}
{{- if ne .Values.updateStrategy.type "auto" -}}{{ .Values.updateStrategy.type }}
{{- else if and (eq $repository.type "claim") (not (has "ReadWriteMany" $repository.claim.accessModes)) -}}Recreate
{{- else -}}RollingUpdate{{- end -}}
{{- end -}}

{{/* Bytes of a Kubernetes quantity such as 1408Mi, 2G, 1.5Gi or 1000; a float in text form. */}}
{{- define "triton.bytes" -}}
{{- $factors := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 -}}
{{- $text := toString . -}}
{{- $unit := regexFind "[kMGTP]?i?$" $text -}}
{{- mulf (trimSuffix $unit $text | float64) (get $factors $unit) -}}
{{- end -}}

{{/* Mistakes that a schema cannot see because they are between two values; all at once. */}}
{{- define "triton.validate" -}}
{{- $problems := list -}}
{{- $budget := .Values.podDisruptionBudget -}}
{{- $replicas := int .Values.replicas -}}
{{- if and $budget.enabled (gt $replicas 1) (not (hasSuffix "%" (toString $budget.minAvailable))) (ge (int $budget.minAvailable) $replicas) -}}
{{- $problems = append $problems (printf "podDisruptionBudget.minAvailable is %d with %d replicas: no node could ever be drained. Set it below replicas, or raise replicas." (int $budget.minAvailable) $replicas) -}}
{{- end -}}
{{- with (default dict .Values.resources).limits -}}
{{- if hasKey . "memory" -}}
{{- if ge (include "triton.bytes" $.Values.sharedMemory.size | float64) (include "triton.bytes" .memory | float64) -}}
{{- $problems = append $problems (printf "sharedMemory.size %s is not below resources.limits.memory %s: /dev/shm counts as memory of the container, which would be killed when it fills. Raise the limit." (toString $.Values.sharedMemory.size) (toString .memory)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $problems -}}{{- fail (join "\n" .) -}}{{- end -}}
{{- end -}}
