{{/*
A value as a CEL literal. Maps and lists of CEL hold one type each, so everything in them is dyn.
Argument: dict value.
*/}}
{{- define "spark-platform.cel" -}}
{{- $value := .value -}}
{{- if kindIs "map" $value -}}
{{- $parts := list -}}
{{- range $key, $item := $value -}}
{{- $parts = append $parts (printf "%s: dyn(%s)" (toJson $key) (include "spark-platform.cel" (dict "value" $item))) -}}
{{- end -}}
{{- printf "{%s}" (join ", " $parts) -}}
{{- else if kindIs "slice" $value -}}
{{- $parts := list -}}
{{- range $item := $value -}}
{{- $parts = append $parts (printf "dyn(%s)" (include "spark-platform.cel" (dict "value" $item))) -}}
{{- end -}}
{{- printf "[%s]" (join ", " $parts) -}}
{{- else -}}
{{- toJson $value -}}
{{- end -}}
{{- end -}}

{{/* Pod templates by the path under which jobs name them, as a CEL map. */}}
{{- define "spark-platform.celTemplates" -}}
{{- $root := . -}}
{{- $parts := list -}}
{{- range $name, $template := .Values.podTemplates -}}
{{- $pod := include "spark-platform.podTemplate" (dict "root" $root "name" $name "template" $template) | fromYaml -}}
{{- $value := include "spark-platform.cel" (dict "value" (pick $pod "metadata" "spec")) -}}
{{- $parts = append $parts (printf "%s: dyn(%s)" (printf "/etc/spark/templates/%s.yaml" $name | toJson) $value) -}}
{{- end -}}
{{- printf "{%s}" (join ",\n" $parts) -}}
{{- end -}}

{{/* The mount paths that an application takes itself. Argument: the role. */}}
{{- define "spark-platform.celPaths" -}}
{{- $lists := list -}}
{{- range $field, $path := dict "volumeMounts" "mountPath" "configMaps" "path" "secrets" "path" -}}
{{- $lists = append $lists (printf "(has(object.spec.%s.%s) ? object.spec.%s.%s.map(m, m.%s) : [])" $ $field $ $field $path) -}}
{{- end -}}
{{- $mine := printf "k.startsWith('spark.kubernetes.%s.volumes.') && k.endsWith('.mount.path')" . -}}
{{- $lists = append $lists (printf "variables.conf.filter(k, %s).map(k, variables.conf[k])" $mine) -}}
{{- join " +\n" $lists -}}
{{- end -}}

{{/* Patches that give a role its template, without the volumes and mounts that the application has itself. */}}
{{- define "spark-platform.celTemplatePatch" -}}
{{- $at := printf "/spec/%s/template" . -}}
(has(object.spec.{{ . }}.template) ? [] : [
  JSONPatch{op: "add", path: "{{ $at }}", value: variables.{{ . }}Template},
  JSONPatch{op: "add", path: "{{ $at }}/spec/containers/0/volumeMounts", value:
    variables.{{ . }}Template.spec.containers[0].volumeMounts.filter(m, !(m.mountPath in variables.{{ . }}Paths))},
  JSONPatch{op: "add", path: "{{ $at }}/spec/volumes", value:
    variables.{{ . }}Template.spec.volumes.filter(v, !(v.name in variables.{{ . }}Volumes))}
])
{{- end -}}

{{/* A patch that sets a field of a role which neither the application nor its properties set. Argument: dict role field value. */}}
{{- define "spark-platform.celSizePatch" -}}
(has(object.spec.{{ .role }}.{{ .field }}) || "spark.{{ .role }}.{{ .field }}" in variables.conf ? [] : [
  JSONPatch{op: "add", path: "/spec/{{ .role }}/{{ .field }}", value: {{ toJson .value }}}
])
{{- end -}}

{{/* All patches of one SparkApplication: a list of JSONPatch. */}}
{{- define "spark-platform.celPatches" -}}
{{- $d := .Values.sparkDefaults -}}
{{- $patches := list (include "spark-platform.celTemplatePatch" "driver") (include "spark-platform.celTemplatePatch" "executor") -}}
{{- if $d.enabled -}}
{{- range $role := list "driver" "executor" -}}
{{- $size := get $d $role -}}
{{- $patches = append $patches (include "spark-platform.celSizePatch" (dict "role" $role "field" "cores" "value" (int $size.cores))) -}}
{{- $patches = append $patches (include "spark-platform.celSizePatch" (dict "role" $role "field" "memory" "value" $size.memory)) -}}
{{- end -}}
{{- $silent := "has(object.spec.executor.instances) || \"spark.executor.instances\" in variables.conf || variables.dynamic" -}}
{{- if $d.dynamicAllocation.enabled -}}
{{- $a := $d.dynamicAllocation -}}
{{- $value := dict "enabled" true "initialExecutors" (int $a.initialExecutors) "minExecutors" (int $a.minExecutors) "maxExecutors" (int $a.maxExecutors) -}}
{{- $named := printf "has(object.spec.dynamicAllocation) || \"spark.dynamicAllocation.enabled\" in variables.conf || %s" $silent -}}
{{- $patches = append $patches (printf "(%s ? [] : [\n  JSONPatch{op: \"add\", path: \"/spec/dynamicAllocation\", value: %s}\n])" $named (include "spark-platform.cel" (dict "value" $value))) -}}
{{- $silent = printf "!(has(object.spec.dynamicAllocation) || \"spark.dynamicAllocation.enabled\" in variables.conf) || %s" $silent -}}
{{- end -}}
{{- $patches = append $patches (printf "(%s ? [] : [\n  JSONPatch{op: \"add\", path: \"/spec/executor/instances\", value: %d}\n])" $silent (int $d.executor.instances)) -}}
{{- end -}}
{{- join " +\n" $patches -}}
{{- end -}}

{{/* The API of a MutatingAdmissionPolicy in this cluster; empty where there is none. */}}
{{- define "spark-platform.policyApi" -}}
{{- $kind := "admissionregistration.k8s.io/%s/MutatingAdmissionPolicy" -}}
{{- if or (.Capabilities.APIVersions.Has (printf $kind "v1")) (semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version) -}}
admissionregistration.k8s.io/v1
{{- else if .Capabilities.APIVersions.Has (printf $kind "v1beta1") -}}
admissionregistration.k8s.io/v1beta1
{{- end -}}
{{- end -}}
