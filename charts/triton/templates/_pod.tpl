{{/* Arguments of tritonserver. */}}
{{- define "triton.args" -}}
{{- $server := .Values.server -}}
{{- if $server.args -}}
{{ toYaml $server.args }}
{{- else -}}
- --model-repository={{ include "triton.repository" . }}
{{- if .Values.sampleModel.enabled }}
- --model-repository=/opt/sparkrig/models
{{- end }}
- --model-control-mode={{ $server.modelControlMode }}
{{- if eq $server.modelControlMode "poll" }}
- --repository-poll-secs={{ int $server.pollSeconds }}
{{- else if eq $server.modelControlMode "explicit" }}
{{- range $server.loadModels }}
- --load-model={{ . }}
{{- end }}
{{- if and .Values.sampleModel.enabled (not (has "*" $server.loadModels)) }}
- --load-model=sample
{{- end }}
{{- end }}
- --exit-on-error={{ $server.exitOnError }}
# Without a GPU the server would warn at each start that it found none.
- --allow-gpu-metrics={{ .Values.gpu.enabled }}
- --exit-timeout-secs={{ int .Values.shutdown.inFlightSeconds }}
- --log-verbose={{ int $server.logVerbose }}
{{- if .Values.tracing.enabled }}
- --trace-config=mode=opentelemetry
- --trace-config=level=TIMESTAMPS
- --trace-config=rate={{ int .Values.tracing.rate }}
- --trace-config=opentelemetry,url={{ .Values.tracing.endpoint }}
- --trace-config=opentelemetry,resource=service.name={{ .fullname }}
{{- range $key, $value := .Values.tracing.attributes }}
- --trace-config=opentelemetry,resource={{ $key }}={{ $value }}
{{- end }}
{{- end }}
{{- with $server.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end -}}
{{- end -}}

{{/*
Asks whether the pod is ready. The server's own /v2/health/ready is about all models it knows, and says yes where one
was unloaded; with models that must be there, those are asked. One is asked over HTTP by the kubelet; a probe has one
request only, so several are asked by a command in the server's container: no second image, and its end is the server's.
*/}}
{{- define "triton.readiness" -}}
{{- $required := include "triton.required" . -}}
{{- if or (eq $required "-") (not $required) -}}
httpGet: {path: /v2/health/ready, port: http}
{{- else if not (contains "," $required) -}}
httpGet: {path: /v2/models/{{ $required }}/ready, port: http}
{{- else -}}
exec:
  command:
    - /bin/sh
    - -c
    - |
      for model do
        url=http://127.0.0.1:8000/v2/models/$model/ready
        if command -v curl >/dev/null; then curl -fs -o /dev/null "$url"
        else python3 -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1])' "$url" 2>/dev/null
        fi || { echo "model $model is not ready"; exit 1; }
      done
    - models
    {{- range splitList "," $required }}
    - {{ . }}
    {{- end }}
{{- end }}
{{- end -}}

{{/* Requests and limits; an extended resource takes one number, given as the limit. */}}
{{- define "triton.resources" -}}
{{- $resources := deepCopy (default dict .Values.resources) -}}
{{- if .Values.gpu.enabled -}}
{{- $limits := deepCopy (default dict $resources.limits) -}}
{{- $_ := set $limits .Values.gpu.resource (int .Values.gpu.count) -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{/* Tolerations, with one for the GPU's own taint. */}}
{{- define "triton.tolerations" -}}
{{- $tolerations := default list .Values.tolerations -}}
{{- if .Values.gpu.enabled -}}
{{- /* The taint is the whole device's name also where slices of it are asked for. */ -}}
{{- $key := ternary "nvidia.com/gpu" .Values.gpu.resource (hasPrefix "nvidia.com/" .Values.gpu.resource) -}}
{{- $tolerations = append $tolerations (dict "key" $key "operator" "Exists" "effect" "NoSchedule") -}}
{{- end -}}
{{- with $tolerations -}}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* Where pods go: node selector, tolerations, affinity, spread. */}}
{{- define "triton.placement" -}}
{{- $selector := deepCopy (default dict .Values.nodeSelector) -}}
{{- if and .Values.gpu.enabled .Values.gpu.model -}}
{{- $_ := set $selector .Values.gpu.modelLabel .Values.gpu.model -}}
{{- end -}}
{{- with $selector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "triton.tolerations" . }}
{{ . }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml .Values.topologySpreadConstraints | nindent 2 }}
{{- else if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "triton.selectorLabels" . | nindent 8 }}
{{- end }}
{{- end -}}

{{/* Identities of a pod; the rest of its security context is fixed. */}}
{{- define "triton.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ int .Values.securityContext.runAsUser }}
runAsGroup: {{ int .Values.securityContext.runAsGroup }}
fsGroup: {{ int .Values.securityContext.fsGroup }}
# A repository of many files would otherwise be walked at each start.
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}
