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

{{- define "standin.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* (dict "root" $ "registry" "quay.io" "image" "a/b:c") */ -}}
{{- define "standin.image" -}}
{{ .root.Values.global.imageRegistry | default .registry }}/{{ .image }}
{{- end }}

{{- /* Service account with a cluster role of its own: (dict "root" $ "name" "..." "resources" (list ...)). */ -}}
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
rules:
  - apiGroups: [""]
    resources: {{ toJson .resources }}
    verbs: [get, list, watch]
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

{{- /* Service and monitor: (dict "root" $ "name" "..." "namespace" "..." "selector" (dict ...) "port" 9090). */ -}}
{{- define "standin.service" -}}
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
    - {name: http-metrics, port: {{ .port }}, targetPort: {{ .targetPort | default .port }}}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "standin.labels" .root | nindent 4 }}
spec:
  namespaceSelector: {matchNames: [{{ .namespace | default .root.Release.Namespace }}]}
  selector:
    matchLabels: {app: {{ .name }}}
  endpoints:
    - {port: http-metrics}
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
