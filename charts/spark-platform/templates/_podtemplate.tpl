{{/*
A pod that Spark builds drivers or executors on. Argument: dict root, name, template (an entry of podTemplates).
Spark adds image, command, requests, its own volumes and labels.
*/}}
{{- define "spark-platform.podTemplate" -}}
{{- $root := .root -}}
{{- $t := .template -}}
{{- $role := default "executor" $t.role -}}
apiVersion: v1
kind: Pod
metadata:
  labels:
    sparkrig.dev/pod-template: {{ .name }}
    {{- with $t.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $t.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  automountServiceAccountToken: {{ eq $role "driver" }}
  securityContext:
    {{- include "spark-platform.podSecurityContext" $root | nindent 4 }}
  {{- with include "spark-platform.templatePriority" . }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $t.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with $t.schedulerName }}
  schedulerName: {{ . }}
  {{- end }}
  {{- with $t.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "spark-platform.templateAffinity" . | fromYaml }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "spark-platform.templateTolerations" . | fromYamlArray }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
  {{- if $t.topologySpreadConstraints }}
    {{- toYaml $t.topologySpreadConstraints | nindent 4 }}
  {{- else if eq $role "executor" }}
    # The executors of one application, as even over nodes as it goes: a lost node takes few of them.
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector: {matchLabels: {spark-role: executor}}
      matchLabelKeys: [spark-app-selector]
  {{- else }} []
  {{- end }}
  containers:
    - name: spark-kubernetes-{{ $role }}
      securityContext:
        {{- $context := include "spark-platform.securityContext" $root | fromYaml }}
        {{- if $t.writableRoot }}{{ $_ := set $context "readOnlyRootFilesystem" false }}{{ end }}
        {{- toYaml $context | nindent 8 }}
      {{- with $t.device }}
      resources:
        limits:
          {{ .resource }}: {{ int (default 1 .count) }}
      {{- end }}
      volumeMounts:
        - {name: sparkrig-tmp, mountPath: /tmp}
        - {name: sparkrig-work, mountPath: {{ $root.Values.image.sparkHome }}/work-dir}
        - {name: spark-scripts, mountPath: /etc/spark/scripts, readOnly: true}
        {{- with $t.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: sparkrig-tmp
      emptyDir: {}
    - name: sparkrig-work
      emptyDir: {}
    - name: spark-scripts
      # 0555; written so because Spark's reader of this file takes no octal numbers.
      configMap: {name: spark-scripts, defaultMode: 365}
    {{- with $t.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "spark-platform.templatePriority" -}}
{{- $classes := .root.Values.priorityClasses -}}
{{- if .template.priorityClassName -}}
{{- .template.priorityClassName -}}
{{- else if $classes.create -}}
{{- if eq (default "any" .template.spot) "only" -}}{{- $classes.preemptible.name -}}
{{- else if eq (default "executor" .template.role) "driver" -}}{{- $classes.driver.name -}}
{{- else -}}{{- $classes.executor.name -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Expressions on node labels for a device; JSON list. Argument: a template's `device`. */}}
{{- define "spark-platform.deviceExpressions" -}}
{{- $nvidia := hasPrefix "nvidia.com/" .resource -}}
{{- $expressions := list -}}
{{- if .models -}}
{{- $key := default (ternary "nvidia.com/gpu.product" "" $nvidia) .modelLabel -}}
{{- $expressions = append $expressions (dict "key" $key "operator" "In" "values" .models) -}}
{{- end -}}
{{- if .minMemoryMiB -}}
{{- $key := default (ternary "nvidia.com/gpu.memory" "" $nvidia) .memoryLabel -}}
{{- $expressions = append $expressions (dict "key" $key "operator" "Gt" "values" (list (sub (int .minMemoryMiB) 1 | toString))) -}}
{{- end -}}
{{- toJson $expressions -}}
{{- end -}}

{{/* The pod's affinity: what was given, and the nodes that a device and spot ask for. */}}
{{- define "spark-platform.templateAffinity" -}}
{{- $affinity := deepCopy (default dict .template.affinity) -}}
{{- $always := list -}}
{{- with .template.device -}}
{{- $always = include "spark-platform.deviceExpressions" . | fromJsonArray -}}
{{- end -}}
{{- $labels := .root.Values.spotNodes.labels -}}
{{- $spot := default "any" .template.spot -}}
{{- $terms := list -}}
{{- if eq $spot "only" -}}
{{- range $key, $value := $labels -}}
{{- $terms = append $terms (dict "matchExpressions" (append $always (dict "key" $key "operator" "In" "values" (list $value)))) -}}
{{- end -}}
{{- else -}}
{{- if eq $spot "avoid" -}}
{{- range $key, $value := $labels -}}
{{- $always = append $always (dict "key" $key "operator" "NotIn" "values" (list $value)) -}}
{{- end -}}
{{- end -}}
{{- if $always -}}{{- $terms = list (dict "matchExpressions" $always) -}}{{- end -}}
{{- end -}}
{{- if $terms -}}
{{- $_ := set $affinity "nodeAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (dict "nodeSelectorTerms" $terms)) -}}
{{- end -}}
{{- if $affinity -}}{{- toYaml $affinity -}}{{- end -}}
{{- end -}}

{{- define "spark-platform.templateTolerations" -}}
{{- $tolerations := default list .template.tolerations -}}
{{- with .template.device -}}
{{- /* The taint is the whole device's name also where slices of it are asked for. */ -}}
{{- $key := ternary "nvidia.com/gpu" .resource (hasPrefix "nvidia.com/" .resource) -}}
{{- $tolerations = append $tolerations (dict "key" $key "operator" "Exists" "effect" "NoSchedule") -}}
{{- end -}}
{{- if eq (default "any" .template.spot) "only" -}}
{{- $tolerations = concat $tolerations .root.Values.spotNodes.tolerations -}}
{{- end -}}
{{- toYaml $tolerations -}}
{{- end -}}

{{/* For spark-submit with Volcano: the group that a job's pods start as. */}}
{{- define "spark-platform.podGroup" -}}
apiVersion: scheduling.volcano.sh/v1beta1
kind: PodGroup
spec:
  # Spark makes executors after the driver runs, so the driver alone is a member that must be there;
  # the CPU of the whole job is asked for in advance.
  minMember: 1
  minResources:
    {{- $d := .Values.sparkDefaults }}
    cpu: {{ add (int $d.driver.cores) (mul (int $d.executor.instances) (int $d.executor.cores)) | quote }}
  queue: {{ default "default" .Values.gangScheduling.queue }}
{{- end -}}
