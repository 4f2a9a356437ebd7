{{/* Arguments of tritonserver. */}}
{{- define "triton.args" -}}
- --model-repository={{ .Values.modelRepository.path }}
- --model-control-mode={{ .Values.server.modelControlMode }}
{{- if eq .Values.server.modelControlMode "poll" }}
- --repository-poll-secs={{ int .Values.server.pollSeconds }}
{{- end }}
{{- range .Values.server.loadModels }}
- --load-model={{ . }}
{{- end }}
# Without a GPU the server would warn at each start that it found none.
- --allow-gpu-metrics={{ .Values.gpu.enabled }}
- --exit-timeout-secs={{ int .Values.shutdown.inFlightSeconds }}
- --log-verbose={{ int .Values.server.logVerbose }}
{{- with .Values.server.extraArgs }}
{{ toYaml . }}
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

{{/* Where pods go: node selector, tolerations, affinity, spread. */}}
{{- define "triton.placement" -}}
{{- $selector := deepCopy (default dict .Values.nodeSelector) -}}
{{- if and .Values.gpu.enabled .Values.gpu.model -}}
{{- $_ := set $selector "nvidia.com/gpu.product" .Values.gpu.model -}}
{{- end -}}
{{- with $selector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $tolerations := default list .Values.tolerations -}}
{{- if .Values.gpu.enabled -}}
{{- /* The taint is the whole device's name also where slices of it are asked for. */ -}}
{{- $key := ternary "nvidia.com/gpu" .Values.gpu.resource (hasPrefix "nvidia.com/" .Values.gpu.resource) -}}
{{- $tolerations = append $tolerations (dict "key" $key "operator" "Exists" "effect" "NoSchedule") -}}
{{- end -}}
{{- with $tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml .Values.topologySpreadConstraints | nindent 2 }}
{{- else if gt (int .Values.replicas) 1 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "triton.selectorLabels" . | nindent 8 }}
        app.kubernetes.io/component: server
{{- end }}
{{- end -}}
