{{/* The release's name in objects' names. 52 leaves room for suffixes within 63 characters. */}}
{{- define "triton.base" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* What selectors use: without the version, because selectors cannot be changed later. */}}
{{- define "triton.releaseLabels" -}}
app.kubernetes.io/name: triton
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Of one server's pods. */}}
{{- define "triton.selectorLabels" -}}
{{ include "triton.releaseLabels" . }}
app.kubernetes.io/component: server
sparkrig.dev/server: {{ .fullname }}
{{- end -}}

{{- define "triton.commonLabels" -}}
app.kubernetes.io/part-of: sparkrig
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Of one server's objects. */}}
{{- define "triton.labels" -}}
{{ include "triton.selectorLabels" . }}
{{ include "triton.commonLabels" . }}
{{- end -}}

{{/* Of an object that is no server: a list of context and component. */}}
{{- define "triton.labelsOf" -}}
{{ include "triton.releaseLabels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- with (index . 0).fullname }}
sparkrig.dev/server: {{ . }}
{{- end }}
{{ include "triton.commonLabels" (index . 0) }}
{{- end -}}

{{/* An image from {registry, repository, tag, digest}; the digest wins. */}}
{{- define "triton.image" -}}
{{- $name := .repository -}}
{{- with .registry -}}{{- $name = printf "%s/%s" . $name -}}{{- end -}}
{{- if .digest -}}{{ $name }}@{{ .digest }}{{- else -}}{{ $name }}:{{ .tag }}{{- end -}}
{{- end -}}

{{/* Security context of every container: pod-security level restricted, and a root filesystem that is read only. */}}
{{- define "triton.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* Bytes of a Kubernetes quantity such as 1408Mi, 2G, 1.5Gi or 1000; a float in text form. */}}
{{- define "triton.bytes" -}}
{{- $factors := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 -}}
{{- $text := toString . -}}
{{- $unit := regexFind "[kMGTP]?i?$" $text -}}
{{- mulf (trimSuffix $unit $text | float64) (get $factors $unit) -}}
{{- end -}}
