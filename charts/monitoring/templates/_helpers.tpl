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

{{/* The head of an object; takes a dict of `root`, `kind`, `component` and, where they differ, `namespace` and API `version`. */}}
{{- define "monitoring.head" -}}
apiVersion: monitoring.coreos.com/{{ default "v1" .version }}
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

{{/* A number as PromQL takes it: Helm reads whole numbers as floats, and writes large ones as 1e+06. */}}
{{- define "monitoring.number" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/* GPUs whose last XID is one of a list, as a PromQL expression. */}}
{{- define "monitoring.xids" -}}
{{- $each := list -}}
{{- range . -}}
{{- $each = append $each (printf "DCGM_FI_DEV_XID_ERRORS == %s" (include "monitoring.number" .)) -}}
{{- end -}}
{{- join " or " $each -}}
{{- end -}}

{{/* Price per hour of each GPU: that of the first model that fits its name, else the default. */}}
{{- define "monitoring.gpuPrice" -}}
{{- $each := list -}}
{{- range .models -}}
{{- $each = append $each (printf "group by (Hostname, UUID, modelName) (sparkrig:gpu_utilization:ratio{modelName=~%q}) * %s" .match (include "monitoring.number" .perHour)) -}}
{{- end -}}
{{- $each = append $each (printf "group by (Hostname, UUID, modelName) (sparkrig:gpu_utilization:ratio) * %s" (include "monitoring.number" .perHour)) -}}
{{- join " or " $each -}}
{{- end -}}

{{/* The text of a file of rules with ${group.threshold} filled in; takes a dict of `root` and `text`. */}}
{{- define "monitoring.filled" -}}
{{- $text := .text -}}
{{- $gpu := .root.Values.thresholds.gpu -}}
{{- range $group, $thresholds := .root.Values.thresholds -}}
{{- range $name, $value := $thresholds -}}
{{- if not (kindIs "slice" $value) -}}
{{- $text = replace (printf "${%s.%s}" $group $name) (include "monitoring.number" $value) $text -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $text = replace "${derived.fatalXids}" (include "monitoring.xids" $gpu.fatalXids) $text -}}
{{- $text = replace "${derived.knownXids}" (include "monitoring.xids" (concat $gpu.fatalXids $gpu.quietXids)) $text -}}
{{- $text = replace "${derived.gpuPrice}" (include "monitoring.gpuPrice" .root.Values.gpuPrices) $text -}}
{{- with regexFind "\\$\\{[^}]*\\}" $text -}}
{{- fail (printf "%s stands in the rules, and thresholds have no such value" .) -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{/* The groups of a file of rules, as YAML: alerts that are off left out, severities and labels as the values say. */}}
{{- define "monitoring.groups" -}}
{{- $alerts := .root.Values.alerts -}}
{{- range $group := (include "monitoring.filled" . | fromYaml).groups -}}
{{- $rules := list -}}
{{- range $rule := $group.rules -}}
{{- if not $rule.alert -}}
{{- $rules = append $rules $rule -}}
{{- else if and $alerts.enabled (not (has $rule.alert $alerts.disabled)) -}}
{{- $severity := dict "severity" (default $rule.labels.severity (get $alerts.severities $rule.alert)) -}}
{{- $labels := merge $severity $rule.labels (omit $alerts.labels "severity") -}}
{{- $runbook := printf "%s/%s.md" (trimSuffix "/" $alerts.runbooks) $rule.alert -}}
{{- $annotations := merge (dict "runbook_url" $runbook) $rule.annotations -}}
{{- $rules = append $rules (merge (dict "labels" $labels "annotations" $annotations) $rule) -}}
{{- end -}}
{{- end -}}
{{- if $rules }}
{{ list (merge (dict "rules" $rules) $group) | toYaml }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Names of all alerts of this chart, whatever is switched on, as a JSON list. */}}
{{- define "monitoring.alertNames" -}}
{{- $names := list -}}
{{- range $path, $_ := .Files.Glob "rules/*.yaml" -}}
{{- range regexFindAll "(?m)^ *- alert: .+$" ($.Files.Get $path) -1 -}}
{{- $names = append $names (regexReplaceAll "^ *- alert: +" . "") -}}
{{- end -}}
{{- end -}}
{{- $names | uniq | sortAlpha | toJson -}}
{{- end -}}
