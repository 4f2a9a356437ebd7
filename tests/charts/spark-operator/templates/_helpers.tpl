{{- define "standin.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* One of the two Deployments: (dict "root" $ "part" "controller" "args" (list ...)). */ -}}
{{- define "standin.deployment" -}}
{{- $root := .root }}
{{- $values := index $root.Values .part }}
{{- $name := printf "%s-%s" $root.Release.Name .part }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "standin.labels" $root | nindent 4 }}
spec:
  replicas: {{ $values.replicas }}
  selector:
    matchLabels:
      app.kubernetes.io/instance: {{ $root.Release.Name }}
      app.kubernetes.io/component: {{ .part }}
  template:
    metadata:
      labels:
        app.kubernetes.io/instance: {{ $root.Release.Name }}
        app.kubernetes.io/component: {{ .part }}
    spec:
      serviceAccountName: {{ $name }}
      {{- with $root.Values.image.pullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $values.topologySpreadConstraints }}
      topologySpreadConstraints:
        {{- range . }}
        - {{ toYaml . | nindent 10 | trim }}
          labelSelector:
            matchLabels: {app.kubernetes.io/instance: {{ $root.Release.Name }}, app.kubernetes.io/component: {{ $.part }}}
        {{- end }}
      {{- end }}
      containers:
        - name: spark-operator-{{ .part }}
          image: {{ $root.Values.image.registry }}/kubeflow/spark-operator/controller:{{ $root.Chart.AppVersion }}
          args: {{- toYaml .args | nindent 12 }}
          {{- with $values.env }}
          env: {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- if eq .part "webhook" }}
          ports:
            - {name: webhook, containerPort: 9443}
          volumeMounts:
            - {name: serving-certs, mountPath: /etc/k8s-webhook-server/serving-certs}
          {{- else }}
          {{- with $values.volumeMounts }}
          volumeMounts: {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- end }}
          {{- with $values.resources }}
          resources: {{- toYaml . | nindent 12 }}
          {{- end }}
          livenessProbe:
            httpGet: {path: /healthz, port: 8081}
          readinessProbe:
            httpGet: {path: /readyz, port: 8081}
          securityContext:
            runAsNonRoot: true
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
            seccompProfile: {type: RuntimeDefault}
      {{- if eq .part "webhook" }}
      volumes:
        - {name: serving-certs, emptyDir: {sizeLimit: 1Mi}}
      {{- else }}
      {{- with $values.volumes }}
      volumes: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "standin.labels" $root | nindent 4 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}
  labels: {{- include "standin.labels" $root | nindent 4 }}
rules:
  - apiGroups: [sparkoperator.k8s.io]
    resources: [sparkapplications, scheduledsparkapplications, sparkconnects]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
  labels: {{- include "standin.labels" $root | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ $name }}}
subjects:
  - {kind: ServiceAccount, name: {{ $name }}, namespace: {{ $root.Release.Namespace }}}
{{- if $values.podDisruptionBudget.enable }}
{{- if lt (int $values.replicas) 2 }}
{{- fail (printf "%s.podDisruptionBudget needs %s.replicas of 2 or more" .part .part) }}
{{- end }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}-pdb
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "standin.labels" $root | nindent 4 }}
spec:
  minAvailable: 1
  selector:
    matchLabels:
      app.kubernetes.io/instance: {{ $root.Release.Name }}
      app.kubernetes.io/component: {{ .part }}
{{- end }}
{{- end }}

{{- /* Binds the Role of a part in a namespace: (dict "root" $ "part" "webhook" "namespace" "jobs"); "suffix" is of the Role. */ -}}
{{- define "standin.binding" -}}
{{- $name := printf "%s-%s" .root.Release.Name .part }}
{{- $role := printf "%s%s" $name (default "" .suffix) }}
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $role }}
  namespace: {{ .namespace }}
  labels: {{- include "standin.labels" .root | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ $role }}}
subjects:
  - {kind: ServiceAccount, name: {{ $name }}, namespace: {{ .root.Release.Namespace }}}
{{- end }}
