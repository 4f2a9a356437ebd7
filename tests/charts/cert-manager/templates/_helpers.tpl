{{- define "standin.labels" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "standin.image" -}}
{{ .root.Values.imageRegistry }}/{{ .root.Values.imageNamespace }}/cert-manager-{{ .part }}:{{ .root.Chart.AppVersion }}
{{- end }}

{{- define "standin.pod" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.global.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "standin.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* Deployment, account, rights and budget of one part: (dict "root" $ "part" "webhook" "values" .Values.webhook). */ -}}
{{- define "standin.part" -}}
{{- $name := eq .part "controller" | ternary .root.Release.Name (printf "%s-%s" .root.Release.Name .part) }}
{{- $here := dict "root" .root "part" .part "name" (eq .part "controller" | ternary "cert-manager" .part) }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "standin.labels" $here | nindent 4 }}
spec:
  replicas: {{ .values.replicaCount }}
  selector:
    matchLabels: {app.kubernetes.io/instance: {{ .root.Release.Name }}, app.kubernetes.io/component: {{ .part }}}
  template:
    metadata:
      labels: {{- include "standin.labels" $here | nindent 8 }}
    spec:
      {{- include "standin.pod" .root | nindent 6 }}
      serviceAccountName: {{ $name }}
      {{- with .values.topologySpreadConstraints }}
      topologySpreadConstraints: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: cert-manager-{{ .part }}
          image: {{ include "standin.image" $here }}
          args: {{- include (printf "standin.args.%s" .part) .root | nindent 12 }}
          env:
            - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
          ports:
            - {name: http-metrics, containerPort: 9402}
            {{- if eq .part "webhook" }}
            - {name: https, containerPort: 10250}
            - {name: healthcheck, containerPort: 6080}
            {{- else if eq .part "controller" }}
            - {name: http-healthz, containerPort: 9403}
            {{- end }}
          {{- with .values.resources }}
          resources: {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- if eq .part "webhook" }}
          readinessProbe:
            httpGet: {path: /healthz, port: healthcheck}
            periodSeconds: 2
          livenessProbe:
            httpGet: {path: /livez, port: healthcheck}
            initialDelaySeconds: 60
            timeoutSeconds: 5
          {{- else if eq .part "controller" }}
          livenessProbe:
            httpGet: {path: /livez, port: http-healthz}
            initialDelaySeconds: 10
            timeoutSeconds: 15
            failureThreshold: 8
          {{- end }}
          securityContext: {{- include "standin.security" . | nindent 12 }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "standin.labels" $here | nindent 4 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}
  labels: {{- include "standin.labels" $here | nindent 4 }}
rules: {{- include (printf "standin.rules.%s" .part) . | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
  labels: {{- include "standin.labels" $here | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ $name }}}
subjects:
  - {kind: ServiceAccount, name: {{ $name }}, namespace: {{ .root.Release.Namespace }}}
{{- if .values.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "standin.labels" $here | nindent 4 }}
spec:
  minAvailable: 1
  selector:
    matchLabels: {app.kubernetes.io/instance: {{ .root.Release.Name }}, app.kubernetes.io/component: {{ .part }}}
{{- end }}
{{- end }}
