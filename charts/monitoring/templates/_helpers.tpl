{{/* Labels of every monitor; takes a dict of `root` and `component`. */}}
{{- define "monitoring.labels" -}}
app.kubernetes.io/name: monitoring
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: sparkrig
app.kubernetes.io/version: {{ .root.Chart.Version | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The head of a monitor; takes a dict of `root`, `kind`, `component` and, if it is elsewhere, `namespace`. */}}
{{- define "monitoring.head" -}}
apiVersion: monitoring.coreos.com/v1
kind: {{ .kind }}
metadata:
  name: {{ printf "%s-%s" .root.Release.Name .component | trunc 63 | trimSuffix "-" }}
  namespace: {{ default .root.Release.Namespace .namespace }}
  labels:
    {{- include "monitoring.labels" . | nindent 4 }}
{{- end -}}

{{/* A namespaceSelector; an empty list is every namespace. */}}
{{- define "monitoring.namespaces" -}}
namespaceSelector:
  {{- if . }}
  matchNames:
    {{- toYaml . | nindent 4 }}
  {{- else }}
  any: true
  {{- end }}
{{- end -}}

{{/* How often, and the job label, which dashboards and rules rely on; takes a dict of `root` and `job`. */}}
{{- define "monitoring.scrape" -}}
interval: {{ .root.Values.interval }}
scrapeTimeout: {{ .root.Values.scrapeTimeout }}
relabelings:
  - {action: replace, targetLabel: job, replacement: {{ .job }}}
{{- end -}}

{{/* Milliseconds of a duration such as 15s. */}}
{{- define "monitoring.milliseconds" -}}
{{- $unit := regexFind "(ms|s|m|h)$" . -}}
{{- mul (trimSuffix $unit . | int64) (get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000) $unit) -}}
{{- end -}}

{{/* The Prometheus Operator ignores a monitor whose timeout is above its interval, without a word to us. */}}
{{- define "monitoring.validate" -}}
{{- if gt (include "monitoring.milliseconds" .Values.scrapeTimeout | int64) (include "monitoring.milliseconds" .Values.interval | int64) -}}
{{- fail (printf "scrapeTimeout %s is above interval %s: Prometheus would ignore every monitor. Lower the first or raise the second." .Values.scrapeTimeout .Values.interval) -}}
{{- end -}}
{{- end -}}
