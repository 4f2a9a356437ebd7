{{- /* Upstream's names: short where the release is called like the chart. */ -}}
{{- define "standin.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{- define "standin.labels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: {{ .Chart.Name }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
release: {{ .Release.Name }}
{{- end }}

{{- define "standin.security" -}}
runAsNonRoot: true
runAsUser: 65534
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- /* Of the pods that the operator makes: it sets what its own containers may itself. */ -}}
{{- define "standin.volumeUser" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 2000
fsGroup: 2000
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "standin.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* (dict "root" $ "registry" "quay.io" "image" "a/b:c") */ -}}
{{- define "standin.image" -}}
{{ .root.Values.global.imageRegistry | default .registry }}/{{ .image }}
{{- end }}

{{- /* Service account with a cluster role of its own: (dict "root" $ "name" "..." "rules" (list of rules)). */ -}}
{{- define "standin.rbac" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "standin.labels" .root | nindent 4 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .name }}
  labels: {{- include "standin.labels" .root | nindent 4 }}
rules: {{- toYaml .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ .name }}
  labels: {{- include "standin.labels" .root | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ .name }}}
subjects:
  - {kind: ServiceAccount, name: {{ .name }}, namespace: {{ .root.Release.Namespace }}}
{{- end }}

{{- /*
Service and monitor: (dict "root" $ "name" "..." "selector" (dict ...) "port" 9090), and where they differ "namespace",
"targetPort", the port's "portName" and more of the monitor's "endpoint".
*/ -}}
{{- define "standin.service" -}}
{{- $port := .portName | default "http-metrics" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .namespace | default .root.Release.Namespace }}
  labels:
    app: {{ .name }}
    {{- include "standin.labels" .root | nindent 4 }}
spec:
  selector: {{ toJson .selector }}
  ports:
    - {name: {{ $port }}, port: {{ .port }}, targetPort: {{ .targetPort | default .port }}}
---
{{ include "standin.monitor" (dict
  "root" .root "name" .name "namespace" .namespace "labels" (dict "app" .name)
  "endpoints" (list (merge (dict "port" $port) (.endpoint | default dict)))
) }}
{{- end }}

{{- /* (dict "root" $ "name" "..." "labels" (dict ...) "endpoints" (list ...)), "namespace" where it differs, "job" a label. */ -}}
{{- define "standin.monitor" -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "standin.labels" .root | nindent 4 }}
spec:
  {{- with .job }}
  jobLabel: {{ . }}
  {{- end }}
  namespaceSelector: {matchNames: [{{ .namespace | default .root.Release.Namespace }}]}
  selector:
    matchLabels: {{- toYaml .labels | nindent 6 }}
  endpoints: {{- toYaml .endpoints | nindent 4 }}
{{- end }}

{{- /* (dict "root" $ "name" "..." "minAvailable" 1 "selector" (dict ...)) */ -}}
{{- define "standin.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "standin.labels" .root | nindent 4 }}
spec:
  minAvailable: {{ .minAvailable }}
  selector:
    matchLabels: {{ toJson .selector }}
{{- end }}

{{- /* (dict "kind" "soft|hard" "name" "...") */ -}}
{{- define "standin.affinity" -}}
podAntiAffinity:
  {{- if eq .kind "hard" }}
  requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: kubernetes.io/hostname
      labelSelector: {matchLabels: {name: {{ .name }}}}
  {{- else }}
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector: {matchLabels: {name: {{ .name }}}}
  {{- end }}
{{- end }}
