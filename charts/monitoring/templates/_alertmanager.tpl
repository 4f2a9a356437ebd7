{{/* First line of a message, in Alertmanager's own template language. */}}
{{- define "monitoring.subject" -}}
{{ `[{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ .Alerts.Firing | len }}{{ end }}] {{ .GroupLabels.SortedPairs.Values | join " " }}` }}
{{- end -}}

{{/* One line an alert, with its runbook. */}}
{{- define "monitoring.lines" -}}
{{ `{{ range .Alerts }}{{ .Annotations.summary }} ({{ .Labels.severity }}) {{ .Annotations.runbook_url }}{{ "\n" }}{{ end }}` }}
{{- end -}}

{{/* What a schema cannot see: names that refer to each other. */}}
{{- define "monitoring.validateAlertmanager" -}}
{{- $alertmanager := .Values.alertmanager -}}
{{- $known := list -}}
{{- range $alertmanager.receivers -}}
{{- if has .name $known -}}
{{- fail (printf "alertmanager.receivers has %s twice. Put what it sends to into one entry, or rename one." .name) -}}
{{- end -}}
{{- $known = append $known .name -}}
{{- end -}}
{{- if $alertmanager.enabled -}}
{{- if not $known -}}
{{- fail "alertmanager.enabled is true and alertmanager.receivers is empty: describe at least one receiver, and name it in alertmanager.receiver." -}}
{{- end -}}
{{- $shown := join ", " $known -}}
{{- $used := list $alertmanager.receiver -}}
{{- if not (has $alertmanager.receiver $known) -}}
{{- fail (printf "alertmanager.receiver is %q, which is no receiver. Name one of: %s." $alertmanager.receiver $shown) -}}
{{- end -}}
{{- range $place, $route := $alertmanager.routes -}}
{{- if not (has $route.receiver $known) -}}
{{- fail (printf "alertmanager.routes[%d].receiver is %q, which is no receiver. Name one of: %s." $place $route.receiver $shown) -}}
{{- end -}}
{{- $used = append $used $route.receiver -}}
{{- end -}}
{{- range $known -}}
{{- if not (has . $used) -}}
{{- fail (printf "alertmanager.receivers has %s, and no route leads to it: it would never get an alert. Name it in alertmanager.routes or alertmanager.receiver, or take it out." .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Alerts that the values speak of must be alerts. */}}
{{- define "monitoring.validateAlerts" -}}
{{- $names := include "monitoring.alertNames" . | fromJsonArray -}}
{{- range .Values.alerts.disabled -}}
{{- if not (has . $names) -}}
{{- fail (printf "alerts.disabled names %s, which is no alert of this chart. There are: %s." . (join ", " $names)) -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := .Values.alerts.severities -}}
{{- if not (has $name $names) -}}
{{- fail (printf "alerts.severities names %s, which is no alert of this chart. There are: %s." $name (join ", " $names)) -}}
{{- end -}}
{{- end -}}
{{- $storage := .Values.thresholds.storage -}}
{{- if gt (float64 $storage.criticalRatio) (float64 $storage.warnRatio) -}}
{{- fail "thresholds.storage.criticalRatio is above warnRatio: a volume would be critical before it is worth a warning. Swap them." -}}
{{- end -}}
{{- $certificates := .Values.thresholds.certificates -}}
{{- if gt (float64 $certificates.criticalDays) (float64 $certificates.warnDays) -}}
{{- fail "thresholds.certificates.criticalDays is above warnDays: a certificate would be critical before it is worth a warning. Swap them." -}}
{{- end -}}
{{- end -}}
