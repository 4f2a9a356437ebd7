{{/*
Renders a template once for each server, as a document each: a list of the root and the template's name.
The template gets a context of its own in which `.Values` are the chart's values with the server's own laid
over them, `fullname` is the name of the server's objects, and `server` its name in `servers` (empty for the only one).
*/}}
{{- define "triton.each" -}}
{{- $root := index . 0 -}}
{{- $template := index . 1 -}}
{{- range $entry := default (list dict) $root.Values.servers -}}
{{- $values := deepCopy (omit $root.Values "servers") -}}
{{- include "triton.overlay" (list $values (omit $entry "name")) -}}
{{- $name := default "" $entry.name -}}
{{- $fullname := include "triton.base" $root -}}
{{- if $name -}}
{{- $fullname = printf "%s-%s" $fullname $name -}}
{{- include "triton.hosts" (list $values $entry $name) -}}
{{- end -}}
{{- $context := dict "Values" $values "server" $name "fullname" $fullname "Release" $root.Release "Chart" $root.Chart "Capabilities" $root.Capabilities "Files" $root.Files -}}
{{- with include $template $context | trim }}
---
{{ . }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Lays the second map over the first, in place: maps merge, a null takes a value out, everything else replaces. Not
mergeOverwrite, which takes a false, a 0 or an empty text for nothing and keeps what lies below.
*/}}
{{- define "triton.overlay" -}}
{{- $base := index . 0 -}}
{{- range $key, $value := index . 1 -}}
{{- if and (kindIs "map" $value) (kindIs "map" (get $base $key)) -}}
{{- include "triton.overlay" (list (get $base $key) $value) -}}
{{- else if kindIs "invalid" $value -}}
{{- $_ := unset $base $key -}}
{{- else -}}
{{- $_ := set $base $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Servers that share a host from above get one each, NAME-HOST: one level deep, so that a wildcard certificate fits. */}}
{{- define "triton.hosts" -}}
{{- $values := index . 0 -}}
{{- $entry := index . 1 -}}
{{- range $section := list "ingress" "gateway" -}}
{{- $below := get $values $section -}}
{{- if and $below.host (not (hasKey (default dict (get $entry $section)) "host")) -}}
{{- $_ := set $below "host" (printf "%s-%s" (index $ 2) $below.host) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Models without which the pod is not ready, with commas; "-" where every model counts that the server knows. */}}
{{- define "triton.required" -}}
{{- $models := default list .Values.server.requiredModels -}}
{{- if and (not $models) (eq .Values.server.modelControlMode "explicit") -}}
{{- $models = .Values.server.loadModels -}}
{{- if has "*" $models -}}{{- $models = list "-" -}}
{{- else if .Values.sampleModel.enabled -}}{{- $models = append $models "sample" -}}{{- end -}}
{{- else if not $models -}}
{{- $models = list "-" -}}
{{- end -}}
{{- join "," (uniq $models) -}}
{{- end -}}

{{/* Pods that are there at least: what a disruption budget can count on. */}}
{{- define "triton.fewest" -}}
{{- if .Values.autoscaling.enabled -}}{{ int .Values.autoscaling.minReplicas }}{{- else -}}{{ int .Values.replicas }}{{- end -}}
{{- end -}}

{{/* Whether one pod only can hold the volume: then an update must end the old pod before it starts the new one. */}}
{{- define "triton.oneHolder" -}}
{{- $repository := .Values.modelRepository -}}
{{- if and (eq $repository.type "claim") (not (has "ReadWriteMany" $repository.claim.accessModes)) (not (has "ReadOnlyMany" $repository.claim.accessModes)) -}}true{{- end -}}
{{- end -}}

{{- define "triton.strategy" -}}
{{- if ne .Values.updateStrategy.type "auto" -}}{{ .Values.updateStrategy.type }}
{{- else if include "triton.oneHolder" . -}}Recreate
{{- else -}}RollingUpdate{{- end -}}
{{- end -}}

{{/* The server's own URL inside the cluster. */}}
{{- define "triton.url" -}}
http://{{ .fullname }}.{{ .Release.Namespace }}:8000
{{- end -}}
